//! Tests of the scenario format.

mod files;
