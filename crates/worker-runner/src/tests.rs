//! Workers as their users see them.
