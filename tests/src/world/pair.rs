//! Two people who reach each other through relays alone, and what they say of their newest message.

use super::{Weather, World};
use kith_node::{
    api::types::{DeliveryState, RelayState},
    app::Command,
};

impl World {
    /// Two people, each at these relays.
    pub fn pair_at(places: [&[usize]; 2]) -> Self {
        let mut world = Self::new(1, 2, Weather::fine());
        world.relays_only = true;
        world.add_relays(1 + places.iter().flat_map(|of| of.iter().copied()).max().unwrap());
        for (who, of) in places.iter().enumerate() {
            of.iter().for_each(|relay| world.use_relay(who, *relay));
        }
        world.run_for(10_000);
        for person in &world.people {
            assert!(person.relays().iter().all(|r| r.state == RelayState::Ready), "{:?}", person.relays());
        }
        world
    }

    /// Two who know each other, and wrote.
    pub fn friends_at(places: [&[usize]; 2]) -> Self {
        let mut world = Self::pair_at(places);
        world.add_contact(0, 1);
        world.add_contact(1, 0);
        world.run_for(60_000);
        for (from, to) in [(0, 1), (1, 0)] {
            world.send(from, to, "hello");
            world.run_for(60_000);
            assert_eq!(world.state(from), DeliveryState::Delivered, "{}", world.story(from));
        }
        world
    }

    /// Somebody adds somebody by the link.
    pub fn add_contact(&mut self, who: usize, other: usize) {
        let code_or_link = self.people[other].link();
        self.act(who, Command::ContactAdd { code_or_link, name: Some(format!("p{other}")) });
    }

    /// How far the newest own message got.
    pub fn state(&self, who: usize) -> DeliveryState {
        self.people[who].why_all().last().unwrap().recipients[0].state
    }

    /// Why the newest own message got no further.
    pub fn reason(&self, who: usize) -> String {
        self.people[who].why_all().last().unwrap().recipients[0].error.clone().unwrap_or_default()
    }

    /// The steps of the newest own message, a line for each.
    pub fn story(&self, who: usize) -> String {
        let why = self.people[who].why_all().pop().unwrap();
        why.recipients[0].steps.iter().map(|s| s.what.clone()).collect::<Vec<_>>().join("\n")
    }

    /// What people are shown of a relay's id.
    pub fn relay_name(&self, relay: usize) -> String {
        self.relays[relay].id().to_string()[..8].to_owned()
    }

    /// What somebody was shown, oldest first.
    pub fn texts(&self, who: usize) -> Vec<String> {
        self.people[who].shown().into_iter().map(|m| m.body).collect()
    }
}
