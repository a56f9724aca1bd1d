//! All tests of a mounted directory, with requests that come over io_uring.

mod mounted;

const TRANSPORT: disktime_fuse::Transport = disktime_fuse::Transport::Best;
