//! What users of a store see.
