//! What one subscriber gets of one item: a pure decision that the shard carries out.
