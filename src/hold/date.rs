//! The `Date` header's value, made once a second and thread.

use std::{
    cell::RefCell,
    rc::Rc,
    time::{SystemTime, UNIX_EPOCH},
};

thread_local! {
    static NOW: RefCell<(u64, Rc<str>)> = RefCell::new((0, "".into()));
}

/// The current time as RFC 9110 section 5.6.7 writes it.
pub fn http_date() -> Rc<str> {
    let now = SystemTime::now();
    let second = now
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    NOW.with_borrow_mut(|(made, text)| {
        if *made != second {
            *made = second;
            *text = httpdate::fmt_http_date(now).into();
        }
        Rc::clone(text)
    })
}
