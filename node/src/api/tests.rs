//! The routes and the client over a real socket, with a backend in memory.

mod backend;
mod channels;
mod client;
mod relays;
mod routes;
mod shapes;
