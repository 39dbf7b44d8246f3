//! What holds for every operation.

mod access_profiles;
mod description;
mod doors;
mod groups;
mod people;
mod propagation;
mod providers;
mod virtual_keys;
