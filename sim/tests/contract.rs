//! What every implementation of the seams in `relay_node::env` promises: one suite, run on the real world and on
//! each engine, so that a simulated network stays honest. What only an engine can show is in `contract/event_*.rs`.

#[path = "contract/cases.rs"]
mod cases;
#[path = "contract/databases.rs"]
mod databases;
#[path = "contract/event_cpu.rs"]
mod event_cpu;
#[path = "contract/event_determinism.rs"]
mod event_determinism;
#[path = "contract/event_disks.rs"]
mod event_disks;
#[path = "contract/event_faults.rs"]
mod event_faults;
#[path = "contract/event_links.rs"]
mod event_links;
#[path = "contract/event_nat.rs"]
mod event_nat;
#[path = "contract/event_processes.rs"]
mod event_processes;
#[path = "contract/event_streams.rs"]
mod event_streams;
#[path = "contract/name_server.rs"]
mod name_server;
#[path = "contract/sites.rs"]
mod sites;
#[path = "contract/tls.rs"]
mod tls;

macro_rules! contract {
    ($($file:ident::$case:ident),+ $(,)?) => {
        mod production {
            $(#[test]
            fn $case() {
                super::sites::on_production(super::$file::$case);
            })+
        }

        mod event {
            $(#[test]
            fn $case() {
                super::sites::on_event_engine(super::$file::$case);
            })+
        }
    };
}

contract![
    cases::what_is_sent_comes_back,
    cases::a_half_closed_stream_still_carries_the_other_direction,
    cases::dropping_a_stream_ends_it_for_the_peer,
    cases::what_was_sent_before_a_drop_arrives,
    cases::writing_to_a_peer_that_is_gone_fails,
    cases::dropping_unread_data_resets_the_peer,
    cases::writing_after_shutdown_fails,
    cases::where_nothing_listens_dials_are_refused,
    cases::a_dropped_listener_refuses_and_its_streams_live_on,
    cases::a_dropped_listener_resets_what_it_did_not_accept,
    cases::what_arrived_before_an_accept_is_there_after_it,
    cases::a_port_is_held_by_one_listener_until_it_is_dropped,
    cases::port_zero_takes_free_ports,
    cases::a_writer_waits_for_its_reader_and_nothing_is_lost,
    cases::large_transfers_arrive_whole_both_ways_at_once,
    cases::vectored_writes_arrive_in_order,
    cases::an_accept_dropped_half_way_loses_no_stream,
    cases::datagrams_go_there_and_back,
    cases::a_datagram_that_does_not_fit_is_cut_off,
    cases::a_datagram_port_is_held_by_one_socket,
    cases::names_and_addresses_resolve,
    cases::the_clock_never_goes_back_and_sleeps_last_long_enough,
    cases::a_sleep_into_the_past_ends_at_once,
    cases::a_deadline_cuts_off_what_takes_too_long,
    cases::a_panic_stays_where_it_happened,
    cases::blocking_work_returns_its_value,
    cases::every_seed_is_another,
    cases::values_on_disk_can_be_read_and_replaced,
    cases::a_file_that_is_not_there_is_not_found,
    cases::srv_records_are_found_by_name,
    tls::tls_carries_what_is_sent_both_ways,
    tls::a_certificate_for_another_name_is_refused,
    tls::a_certificate_of_an_unknown_issuer_is_refused,
    tls::an_expired_certificate_is_refused,
    tls::without_a_certificate_there_is_no_server,
    tls::plain_text_is_no_tls,
    tls::a_handshake_that_is_cut_short_is_an_error,
    tls::what_is_no_name_cannot_be_asked_for,
    databases::a_database_keeps_what_was_committed,
    databases::what_was_not_committed_is_gone,
    databases::a_database_has_one_connection,
    databases::databases_are_opened_the_same_way,
    databases::a_large_transaction_is_whole_after_a_reopen,
    databases::what_is_no_database_is_refused_and_left_alone,
];
