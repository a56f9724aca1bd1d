//! All tests of a mounted directory, with requests that come by `/dev/fuse`.

mod mounted;

const TRANSPORT: disktime_fuse::Transport = disktime_fuse::Transport::Device;
