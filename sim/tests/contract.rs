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
#[path = "contract/event_disk_faults.rs"]
mod event_disk_faults;
#[path = "contract/event_disks.rs"]
mod event_disks;
#[path = "contract/event_draws.rs"]
mod event_draws;
#[path = "contract/event_edge.rs"]
mod event_edge;
#[path = "contract/event_faults.rs"]
mod event_faults;
#[path = "contract/event_links.rs"]
mod event_links;
#[path = "contract/event_machines.rs"]
mod event_machines;
#[path = "contract/event_nat.rs"]
mod event_nat;
#[path = "contract/event_power_cuts.rs"]
mod event_power_cuts;
#[path = "contract/event_processes.rs"]
mod event_processes;
#[path = "contract/event_reseed.rs"]
mod event_reseed;
#[path = "contract/event_streams.rs"]
mod event_streams;
#[path = "contract/faults.rs"]
mod faults;
#[path = "contract/name_server.rs"]
mod name_server;
#[path = "contract/sites.rs"]
mod sites;
#[path = "contract/tls.rs"]
mod tls;

/// Cases that turmoil cannot pass, and why. One that passes after all fails its test, so that it is taken off here.
const TURMOIL_CANNOT: [(&str, &str); 6] = [
    ("a_one_way_cut_lets_the_other_direction_live", "turmoil holds a link in both directions or in none"),
    ("a_stream_is_given_up_when_nothing_gets_through_for_long", "turmoil keeps what it holds for ever"),
    (
        "a_reset_behind_a_partition_is_lost",
        "turmoil holds a reset like everything else, and delivers it late",
    ),
    ("bandwidth_is_what_the_link_says", "turmoil has no bandwidth"),
    ("a_dial_takes_a_round_trip", "turmoil tells the dialler at once when it is accepted"),
    ("datagrams_get_into_a_home_as_answers", "turmoil has no NAT, and the adapter translates streams only"),
];

/// Why a case does not pass on turmoil, if it does not.
fn cannot(case: &str) -> Option<&'static str> {
    TURMOIL_CANNOT.iter().find(|(name, _)| *name == case).map(|(_, reason)| *reason)
}

#[test]
fn what_turmoil_cannot_do_are_cases_that_there_are() {
    for (name, reason) in TURMOIL_CANNOT {
        assert!(CASES.contains(&name) || FAULTS.contains(&name), "there is no case {name} any more");
        assert!(!reason.is_empty(), "say why {name} does not pass");
    }
}

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

        mod turmoil {
            $(#[test]
            fn $case() {
                super::sites::on_turmoil(super::$file::$case, super::cannot(stringify!($case)));
            })+
        }

        /// The cases by name.
        const CASES: &[&str] = &[$(stringify!($case)),+];
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

macro_rules! faults {
    ($($case:ident),+ $(,)?) => {
        mod faults_event {
            $(#[test]
            fn $case() {
                super::sites::fault_on_event_engine(super::faults::$case);
            })+
        }

        mod faults_turmoil {
            $(#[test]
            fn $case() {
                super::sites::fault_on_turmoil(super::faults::$case, super::cannot(stringify!($case)));
            })+
        }

        /// The cases of faults by name.
        const FAULTS: &[&str] = &[$(stringify!($case)),+];
    };
}

faults![
    a_partition_holds_what_is_sent_until_it_heals,
    the_end_of_a_stream_is_held_by_a_partition_too,
    a_dial_into_a_partition_times_out_and_is_not_refused,
    a_dial_that_outlives_its_partition_succeeds,
    a_one_way_cut_lets_the_other_direction_live,
    a_stream_is_given_up_when_nothing_gets_through_for_long,
    the_peers_of_a_killed_process_are_reset_and_its_port_refuses,
    a_reset_behind_a_partition_is_lost,
    what_a_killed_process_had_closed_before_still_arrives,
    a_power_cut_is_silent_until_the_power_is_back,
    a_harness_process_survives_its_hosts_power_cut_and_sees_its_node_gone,
    a_disk_survives_kill_and_power_cut_and_not_a_wipe,
    a_commit_survives_a_power_cut_and_what_was_not_committed_does_not,
    destructors_of_a_killed_process_reach_neither_disk_nor_network,
    a_process_ends_with_its_main_future_and_closes_what_it_left_open,
    loss_delays_a_stream_and_takes_nothing_from_it,
    bandwidth_is_what_the_link_says,
    a_dial_takes_a_round_trip,
    a_home_gets_out_under_its_public_address_and_nobody_gets_in,
    datagrams_get_into_a_home_as_answers,
    certificates_can_expire,
];
