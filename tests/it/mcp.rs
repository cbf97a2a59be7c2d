//! The MCP server: real clients that are not ours, hostile ones, and what becomes of the workers.

mod clients;
mod http;
mod http_client;
mod http_hostile;
mod lifetimes;
mod resources;
mod stdio_client;
mod stdio_hostile;
mod tokens;
