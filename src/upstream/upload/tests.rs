//! What an upload keeps, replays and refuses.

use std::{cell::Cell, collections::VecDeque, convert::Infallible};

use http_body_util::BodyExt;

use super::*;

/// Pieces, then silence or the end.
struct Pieces {
    left: VecDeque<&'static str>,
    ends: Rc<Cell<bool>>,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.left.pop_front() {
            Some(piece) => Poll::Ready(Some(Ok(Frame::data(piece.into())))),
            None if self.ends.get() => Poll::Ready(None),
            None => Poll::Pending,
        }
    }
}

fn upload(pieces: &[&'static str], keep: usize) -> (Upload, Rc<Cell<bool>>) {
    let ends = Rc::new(Cell::new(true));
    let left = pieces.iter().copied().collect();
    (
        Upload::new(
            Pieces {
                left,
                ends: ends.clone(),
            },
            keep,
        ),
        ends,
    )
}

async fn text(reader: Reader) -> Result<String, UploadError> {
    let read = reader.collect().await?;
    Ok(String::from_utf8(read.to_bytes().to_vec()).unwrap())
}

/// Neither a piece, nor the end, nor an error: that would end its connection.
async fn gets_nothing(reader: &mut Reader) -> bool {
    poll_fn(|context| Poll::Ready(Pin::new(&mut *reader).poll_frame(context).is_pending())).await
}

#[tokio::test]
async fn it_is_read_once_and_replayed() {
    let (upload, _) = upload(&["ab", "c"], 3);
    let mut first = upload.reader().unwrap();
    assert_eq!(
        first.frame().await.unwrap().unwrap().into_data().unwrap(),
        "ab"
    );
    assert_eq!((upload.kept(), upload.is_complete()), (None, false));
    let second = upload.reader().unwrap();
    assert!(gets_nothing(&mut first).await);
    assert_eq!(text(second).await.unwrap(), "abc");
    assert_eq!(upload.kept().unwrap(), "abc");
    assert_eq!((upload.known_len(), upload.is_delivered()), (Some(3), true));
    let third = upload.reader().unwrap();
    assert!(!upload.is_delivered() && !third.is_end_stream());
    assert_eq!(text(third).await.unwrap(), "abc");
}

#[tokio::test]
async fn more_than_is_kept_passes_but_not_twice() {
    let (upload, _) = upload(&["ab", "cd"], 3);
    assert_eq!(text(upload.reader().unwrap()).await.unwrap(), "abcd");
    assert!(upload.is_complete() && upload.overflowed() && upload.kept().is_none());
    assert!(upload.reader().is_none());
    assert_eq!(
        upload.finish().await,
        Err(UploadError::TooLarge { limit: 3 })
    );
}

#[tokio::test]
async fn finish_reads_on_where_a_reader_stopped() {
    let (upload, _) = upload(&["ab", "cd"], 4);
    let mut reader = upload.reader().unwrap();
    reader.frame().await.unwrap().unwrap();
    assert_eq!(upload.finish().await, Ok(()));
    assert_eq!(upload.kept().unwrap(), "abcd");
    assert!(gets_nothing(&mut reader).await);
}

#[tokio::test]
async fn the_limit_of_the_whole_holds() {
    let (upload, _) = upload(&["ab", "cd"], 100);
    upload.limit(Duration::from_secs(1), 3);
    let failure = UploadError::TooLarge { limit: 3 };
    assert_eq!(text(upload.reader().unwrap()).await, Err(failure.clone()));
    assert_eq!(upload.failure(), Some(failure));
    assert!(!upload.is_complete() && upload.kept().is_none());
}

#[tokio::test(start_paused = true)]
async fn silence_ends_it() {
    let (upload, ends) = upload(&["ab"], 100);
    ends.set(false);
    let after = Duration::from_secs(7);
    upload.limit(after, 0);
    assert_eq!(upload.finish().await, Err(UploadError::TimedOut { after }));
}

#[tokio::test]
async fn prefetch_takes_what_is_there() {
    let (whole, _) = upload(&["ab", "c"], 100);
    whole.prefetch().await;
    assert_eq!(whole.known_len(), Some(3));
    let (part, ends) = upload(&["ab"], 100);
    ends.set(false);
    part.prefetch().await;
    assert_eq!(part.known_len(), None);
    ends.set(true);
    assert_eq!(text(part.reader().unwrap()).await.unwrap(), "ab");
}

#[test]
fn what_is_there_from_the_start_is_complete() {
    assert_eq!(Upload::empty().kept().unwrap(), "");
    assert!(Upload::empty().is_delivered());
    let again = Upload::of(&Bytes::from_static(b"ab"));
    assert_eq!(
        (again.kept().unwrap(), again.known_len()),
        (Bytes::from_static(b"ab"), Some(2))
    );
}

/// Otherwise its beginning would be gone before anybody has asked for it.
#[tokio::test]
async fn prefetch_takes_nothing_that_cannot_be_kept() {
    let (upload, _) = upload(&["abc", "defg", "h"], 4);
    upload.prefetch().await;
    assert!(!upload.overflowed());
    let reader = upload.reader().unwrap();
    assert_eq!(text(reader).await.unwrap(), "abcdefgh");
    assert!(upload.overflowed() && upload.reader().is_none());
}
