//! Channels in the world: who is in, what they read, whether they agree.

use super::World;
use kith_node::{
    api::types::{
        Channel, ChannelSaying, Conversation, DeliveryState, Event, HistoryGrant, JoinState, Message, MessageKind,
        NewChannelInvite, Why,
    },
    app::{Command, channel_query, query},
};
use kith_protocol::{AccountId, ChannelId, MessageId};

impl World {
    /// Somebody makes a channel.
    pub fn make_channel(&mut self, who: usize, name: &str) -> ChannelId {
        self.act(who, Command::ChannelCreate { name: name.to_owned() });
        self.channels(who).into_iter().find(|c| c.name == name).unwrap().id
    }

    /// A person's channels.
    pub fn channels(&self, who: usize) -> Vec<Channel> {
        let now = self.now;
        self.people[who].read(|rows| channel_query::channels(rows, now).unwrap())
    }

    /// How a channel is for a person.
    pub fn channel(&self, who: usize, channel: &ChannelId) -> Option<Channel> {
        self.channels(who).into_iter().find(|c| c.id == *channel)
    }

    /// Somebody makes an invite; returns its code.
    pub fn invite(&mut self, who: usize, channel: ChannelId, uses: u32, role: &str) -> String {
        self.invite_with(who, channel, uses, role, HistoryGrant::None)
    }

    /// Somebody makes an invite that grants something of what was said before.
    pub fn invite_with(
        &mut self,
        who: usize,
        channel: ChannelId,
        uses: u32,
        role: &str,
        history: HistoryGrant,
    ) -> String {
        let before = self.codes(who, &channel);
        let terms = NewChannelInvite {
            uses,
            expires_after_ms: 7 * 86_400_000,
            role: role.to_owned(),
            history,
            approval: false,
        };
        self.act(who, Command::ChannelInvite { channel, terms });
        self.codes(who, &channel).into_iter().find(|code| !before.contains(code)).unwrap()
    }

    fn codes(&self, who: usize, channel: &ChannelId) -> Vec<String> {
        let now = self.now;
        let invites = self.people[who].read(|rows| channel_query::channel_invites(rows, channel, now).unwrap());
        invites.unwrap_or_default().into_iter().filter_map(|i| i.code).collect()
    }

    /// Somebody joins by a code.
    pub fn join(&mut self, who: usize, code: &str) {
        self.act(who, Command::Join { code_or_link: code.to_owned(), name: None, yes: true });
    }

    /// How somebody's newest join stands.
    pub fn join_state(&self, who: usize) -> JoinState {
        self.people[who].read(|rows| channel_query::joins(rows).unwrap()).last().unwrap().state
    }

    /// Somebody says something.
    pub fn say(&mut self, who: usize, channel: ChannelId, text: &str) {
        let saying = ChannelSaying::Text { body: text.to_owned(), reply_to: None };
        self.act(who, Command::ChannelSay { channel, saying, expires_after_ms: None });
    }

    /// Somebody says something about a message.
    pub fn say_of(&mut self, who: usize, channel: ChannelId, saying: ChannelSaying) {
        self.act(who, Command::ChannelSay { channel, saying, expires_after_ms: None });
    }

    /// Everything that somebody is shown of a channel, oldest first, gaps too.
    pub fn shown_in(&self, who: usize, channel: &ChannelId) -> Vec<Message> {
        let place = Conversation::Channel(*channel);
        self.people[who].read(|rows| query::messages(rows, &place, None, None, usize::MAX).unwrap())
    }

    /// The message of a channel with some words, as somebody sees it.
    pub fn with_words(&self, who: usize, channel: &ChannelId, words: &str) -> Message {
        self.shown_in(who, channel).into_iter().find(|m| m.body == words).unwrap()
    }

    /// Why a message of somebody is where it is.
    pub fn why(&self, who: usize, id: &MessageId) -> Why {
        self.people[who].read(|rows| query::why(rows, id).unwrap()).unwrap()
    }

    /// What local clients of somebody were told so far, oldest first.
    pub fn events(&self, who: usize) -> Vec<Event> {
        self.people[who].read(|rows| query::events(rows, 0, usize::MAX).unwrap().events)
    }

    /// What somebody reads in a channel, oldest first.
    pub fn heard(&self, who: usize, channel: &ChannelId) -> Vec<String> {
        let place = Conversation::Channel(*channel);
        let all = self.people[who].read(|rows| query::messages(rows, &place, None, None, usize::MAX).unwrap());
        all.into_iter().filter(|m| m.kind == MessageKind::Text).map(|m| m.body).collect()
    }

    /// How far somebody sees that a message of theirs got.
    pub fn state_of(&self, who: usize, channel: &ChannelId, text: &str) -> DeliveryState {
        let place = Conversation::Channel(*channel);
        let all = self.people[who].read(|rows| query::messages(rows, &place, None, None, usize::MAX).unwrap());
        all.into_iter().find(|m| m.body == text).unwrap().state
    }

    /// Who is in a channel, as somebody sees it.
    pub fn in_channel(&self, who: usize, channel: &ChannelId) -> Vec<AccountId> {
        let now = self.now;
        let members = self.people[who].read(|rows| channel_query::members(rows, channel, now).unwrap());
        let mut accounts: Vec<AccountId> = members.unwrap_or_default().into_iter().map(|m| m.account).collect();
        accounts.sort_unstable();
        accounts
    }
}
