
mod remote;
