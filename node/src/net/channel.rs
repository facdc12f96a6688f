//! The protocol of channels: what members ask each other, with one outcome each, and what others ask this one, with one
//! answer each; both within bounds.
//! Must not read what is asked or answered, nor know who is a member of what.

use super::{
    inbound::{Bounds, Standing},
    opaque::{Desk, Opaque},
    outbound::Outbound,
    peers::limits::Limits,
    run::Net,
    translate,
    types::{MemberToken, NetEvent},
    wire::{Channel, Codec},
};
use crate::clock::Moment;
use libp2p::{PeerId, request_response::Behaviour};

/// What is under way between members, out and in.
pub(crate) struct Members {
    pub(crate) questions: Outbound<ToMembers>,
    desk: Desk,
}

impl Members {
    pub(crate) fn new(limits: &Limits) -> Self {
        let bounds = Bounds {
            rate: limits.channel_rate,
            burst: limits.channel_burst,
            per_peer: limits.channel_per_peer,
            total: limits.channel_total,
        };
        Self {
            questions: Outbound::new(limits.ask_per_member, limits.ask_members_total),
            desk: Desk::new(bounds, limits.channel_answer_bytes),
        }
    }
}

/// Questions to members.
pub(crate) struct ToMembers;

impl Opaque for ToMembers {
    type Wire = Channel;
    const CROWDED: &'static str = "too many questions to members wait here";

    fn behaviour(net: &mut Net) -> &mut Behaviour<Codec<Channel>> {
        &mut net.swarm.behaviour_mut().channel
    }

    fn questions(net: &mut Net) -> &mut Outbound<Self> {
        &mut net.members.questions
    }

    fn desk(net: &mut Net) -> Option<&mut Desk> {
        Some(&mut net.members.desk)
    }

    fn standing(net: &Net, peer: &PeerId) -> Standing {
        if net.contacts.contains(peer) { Standing::Known } else { Standing::Stranger }
    }

    fn hand_on(net: &mut Net, token: u64, peer: PeerId, request: Vec<u8>) -> bool {
        let (token, from) = (MemberToken(token), translate::peer_name(&peer));
        net.events.offer(NetEvent::MemberAsks { token, from, request })
    }
}

impl Net {
    pub(crate) fn expire_members(&mut self, now: Moment) {
        self.expire_questions::<ToMembers>(now);
        let live = &self.connections.live;
        self.members.desk.inbound.forget(now, |peer| live.contains_key(peer));
    }
}
