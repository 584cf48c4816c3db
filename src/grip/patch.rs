//! `body-patch`: a JSON Patch (RFC 6902) applied to the body of a held response.
//!
//! `json-patch` does each operation; this file bounds them. Without bounds a patch of a hundred
//! `copy` operations, each doubling the document, would take all memory, and copies into
//! themselves would nest it deeper than the stack.

use bytes::Bytes;
use json_patch::{PatchOperation, jsonptr::Pointer};
use serde_json::Value;

/// Most bytes that the `copy` and deepening `move` operations of one patch may handle, counted
/// roughly as JSON.
const COPY_LIMIT: usize = 1 << 20;

/// Deepest nesting a patch may make. A parsed document has at most 127 levels.
const DEPTH_LIMIT: usize = 256;

/// Why a patch could not be applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// The original is not a JSON object or list. The backend's fault.
    #[error("the body to patch must be a JSON object or list")]
    Original,
    /// An operation does not fit the original. The publisher's fault.
    #[error("body-patch[{index}] failed: {reason}")]
    Operation {
        /// Place of the operation in the patch, from 0.
        index: usize,
        /// What did not fit.
        reason: String,
    },
    /// The patch would make the document grow too much.
    #[error(
        "body-patch[{index}] would make the body too big: copies may take {COPY_LIMIT} bytes in \
         all, and {DEPTH_LIMIT} levels of nesting are allowed"
    )]
    Growth {
        /// Place of the operation in the patch, from 0.
        index: usize,
    },
}

/// Applies `patch` to the JSON text `original`. The result is compact JSON with object keys
/// sorted; the line end after the original, if there is one, is kept.
pub(super) fn apply(patch: &[PatchOperation], original: &[u8]) -> Result<Bytes, PatchError> {
    let mut doc: Value = serde_json::from_slice(original).map_err(|_| PatchError::Original)?;
    if !(doc.is_object() || doc.is_array()) {
        return Err(PatchError::Original);
    }
    let mut budget = COPY_LIMIT;
    for (index, op) in patch.iter().enumerate() {
        if !fits(&doc, op, &mut budget) {
            return Err(PatchError::Growth { index });
        }
        // One at a time: a failed patch needs no undoing here, the document is thrown away.
        json_patch::patch(&mut doc, std::slice::from_ref(op)).map_err(|e| {
            PatchError::Operation {
                index,
                reason: format!("{} at '{}'", e.kind, super::text::shown(e.path.as_str())),
            }
        })?;
    }
    let mut out = doc.to_string().into_bytes();
    out.extend_from_slice(line_end(original));
    Ok(Bytes::from(out))
}

fn line_end(text: &[u8]) -> &'static [u8] {
    if text.ends_with(b"\r\n") {
        b"\r\n"
    } else if text.ends_with(b"\n") {
        b"\n"
    } else {
        b""
    }
}

/// Does the document stay within the bounds? Keeps every document at most [`DEPTH_LIMIT`] deep,
/// which is what bounds the recursion here and in serde.
fn fits(doc: &Value, op: &PatchOperation, budget: &mut usize) -> bool {
    let source = |from: &Pointer| doc.pointer(from.as_str());
    let mut unpaid = usize::MAX;
    let (value, path, cost) = match op {
        PatchOperation::Add(op) => (Some(&op.value), &op.path, &mut unpaid),
        PatchOperation::Replace(op) => (Some(&op.value), &op.path, &mut unpaid),
        PatchOperation::Copy(op) => (source(&op.from), &op.path, budget),
        PatchOperation::Move(op) if op.path.count() > op.from.count() => {
            (source(&op.from), &op.path, budget)
        }
        PatchOperation::Move(_) | PatchOperation::Remove(_) | PatchOperation::Test(_) => {
            return true;
        }
    };
    // No source: the operation itself will fail and say so.
    value.is_none_or(|value| {
        DEPTH_LIMIT
            .checked_sub(path.count())
            .is_some_and(|depth| measure(value, depth, cost))
    })
}

/// Takes the size of `value` off the budget; false when it or the depth is used up.
fn measure(value: &Value, depth: usize, budget: &mut usize) -> bool {
    let own = 8 + match value {
        Value::String(text) => text.len(),
        Value::Object(map) => map.keys().map(|key| key.len() + 8).sum(),
        _ => 0,
    };
    let (Some(rest), Some(depth)) = (budget.checked_sub(own), depth.checked_sub(1)) else {
        return false;
    };
    *budget = rest;
    match value {
        Value::Array(list) => list.iter().all(|v| measure(v, depth, budget)),
        Value::Object(map) => map.values().all(|v| measure(v, depth, budget)),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn run(patch: Value, original: &[u8]) -> Result<Bytes, PatchError> {
        let patch: json_patch::Patch = serde_json::from_value(patch).unwrap();
        apply(&patch, original)
    }

    #[test]
    fn operations_follow_rfc_6902() {
        let patch = json!([
            {"op": "replace", "path": "/a", "value": "z"},
            {"op": "add", "path": "/l/1", "value": 9},
            {"op": "add", "path": "/l/-", "value": 7},
            {"op": "add", "path": "/n", "value": null},
        ]);
        let out = run(patch, b"{\"l\":[1,2,3], \"a\":1}\n").unwrap();
        assert_eq!(out, &b"{\"a\":\"z\",\"l\":[1,9,2,3,7],\"n\":null}\n"[..]);
    }

    #[test]
    fn the_line_end_of_the_original_is_kept() {
        for end in ["", "\n", "\r\n"] {
            let out = run(json!([]), format!("[ 1 ]{end}").as_bytes()).unwrap();
            assert_eq!(out, format!("[1]{end}").as_bytes());
        }
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        for original in [&b"5"[..], b"", b"{", b"\"a\"", b"\xff"] {
            assert_eq!(run(json!([]), original), Err(PatchError::Original));
        }
        let missing =
            json!([{"op": "test", "path": "", "value": {}}, {"op": "remove", "path": "/zz"}]);
        assert!(matches!(
            run(missing, b"{}"),
            Err(PatchError::Operation { index: 1, .. })
        ));
        let failing = json!([{"op": "test", "path": "/a", "value": 2}]);
        assert!(matches!(
            run(failing, b"{\"a\":1}"),
            Err(PatchError::Operation { index: 0, .. })
        ));
    }

    #[test]
    fn copies_can_neither_double_forever_nor_nest_without_end() {
        let double = json!({"op": "copy", "from": "/a", "path": "/a/-"});
        let doubling = Value::Array(vec![double; 64]);
        assert!(matches!(
            run(doubling, b"{\"a\":[1]}"),
            Err(PatchError::Growth { .. })
        ));

        let wrap = |path: &str| json!([{"op": "copy", "from": "", "path": path}]);
        assert!(run(wrap("/a"), b"{}").is_ok());
        let mut doc = json!({});
        for _ in 0..127 {
            doc = json!({ "a": doc });
        }
        let deep = doc.to_string().replacen("{\"a\":", "", 1);
        let deep = &deep.as_bytes()[..deep.len() - 1];
        let half = "/a".repeat(127);
        assert!(run(wrap(&half), deep).is_ok());
        let twice = json!([
            {"op": "copy", "from": "", "path": half},
            {"op": "copy", "from": "", "path": half},
            {"op": "copy", "from": "", "path": "/a/a/a/a"},
        ]);
        assert!(matches!(
            run(twice, deep),
            Err(PatchError::Growth { index: 1 | 2 })
        ));
    }

    fn operation() -> impl Strategy<Value = Value> {
        let path = || "(/(a|l|-|0|1|~1)){0,3}";
        let name = prop::sample::select(vec!["add", "remove", "replace", "move", "copy", "test"]);
        (name, path(), path(), any::<bool>()).prop_map(
            |(op, from, path, v)| json!({"op": op, "from": from, "path": path, "value": v}),
        )
    }

    proptest! {
        #[test]
        fn any_patch_ends_in_json_or_an_error(ops in prop::collection::vec(operation(), 0..12)) {
            if let Ok(out) = run(Value::Array(ops), b"{\"a\":{\"l\":[0,[1]]},\"l\":[{\"a\":1},2]}") {
                prop_assert!(serde_json::from_slice::<Value>(&out).is_ok());
            }
        }
    }
}
