//! What every implementation of the seams in `relay_node::env` promises: one suite, run on the real world and on
//! each engine, so that a simulated network stays honest. What only an engine can show is in `contract/event_*.rs`.

#[path = "contract/cases.rs"]
mod cases;
#[path = "contract/event_cpu.rs"]
mod event_cpu;
#[path = "contract/event_determinism.rs"]
mod event_determinism;
#[path = "contract/event_faults.rs"]
mod event_faults;
#[path = "contract/event_links.rs"]
mod event_links;
#[path = "contract/event_nat.rs"]
mod event_nat;
#[path = "contract/event_processes.rs"]
mod event_processes;
#[path = "contract/sites.rs"]
mod sites;

macro_rules! contract {
    ($($case:ident),+ $(,)?) => {
        mod production {
            $(#[test]
            fn $case() {
                super::sites::on_production(super::cases::$case);
            })+
        }

        mod event {
            $(#[test]
            fn $case() {
                super::sites::on_event_engine(super::cases::$case);
            })+
        }
    };
}

contract![
    what_is_sent_comes_back,
    a_half_closed_stream_still_carries_the_other_direction,
    dropping_a_stream_ends_it_for_the_peer,
    what_was_sent_before_a_drop_arrives,
    writing_to_a_peer_that_is_gone_fails,
    dropping_unread_data_resets_the_peer,
    writing_after_shutdown_fails,
    where_nothing_listens_dials_are_refused,
    a_dropped_listener_refuses_and_its_streams_live_on,
    a_dropped_listener_resets_what_it_did_not_accept,
    what_arrived_before_an_accept_is_there_after_it,
    a_port_is_held_by_one_listener_until_it_is_dropped,
    port_zero_takes_free_ports,
    a_writer_waits_for_its_reader_and_nothing_is_lost,
    large_transfers_arrive_whole_both_ways_at_once,
    vectored_writes_arrive_in_order,
    an_accept_dropped_half_way_loses_no_stream,
    datagrams_go_there_and_back,
    a_datagram_that_does_not_fit_is_cut_off,
    a_datagram_port_is_held_by_one_socket,
    names_and_addresses_resolve,
    the_clock_never_goes_back_and_sleeps_last_long_enough,
    a_sleep_into_the_past_ends_at_once,
    a_deadline_cuts_off_what_takes_too_long,
    a_panic_stays_where_it_happened,
    blocking_work_returns_its_value,
    every_seed_is_another,
    values_on_disk_can_be_read_and_replaced,
];
