//! Whole networks of DHT nodes in memory, in virtual time.

mod growth;
mod hostile;
mod items;
mod joining;
mod network;
mod publishing;
