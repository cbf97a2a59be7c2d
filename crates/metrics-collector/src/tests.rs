//! What a user of the scopes sees.
