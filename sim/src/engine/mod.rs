//! The engines that own time, network and failure: everything that runs under one sees it only through
//! [`relay_node::env`].

pub mod event;
