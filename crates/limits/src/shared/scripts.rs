//! The scripts that count inside Redis: each decides and counts in one step.

/// A script by its name.
#[derive(Clone, Copy, Debug)]
pub(super) enum Script {
    Enter,
    Reserve,
    Settle,
    Renew,
    HandIn,
    Revoke,
}

/// All sources, in the order of [`Script`].
pub(super) const SOURCES: [&str; 6] = [
    concat!(include_str!("common.lua"), include_str!("enter.lua")),
    concat!(include_str!("common.lua"), include_str!("reserve.lua")),
    concat!(include_str!("common.lua"), include_str!("settle.lua")),
    concat!(include_str!("common.lua"), include_str!("renew.lua")),
    concat!(include_str!("common.lua"), include_str!("hand_in.lua")),
    concat!(include_str!("common.lua"), include_str!("revoke.lua")),
];

/// Gives the word that names the life of the counters and whether it is new; a new life begins with the word proposed.
pub(super) const BEGIN: &str = "
local life = redis.call('GET', KEYS[1])
if not life then
  redis.call('SET', KEYS[1], ARGV[1])
  life = ARGV[1]
end
return life";

/// First number of each reply.
pub(super) const DONE: i64 = 0;
pub(super) const DENIED: i64 = 1;
