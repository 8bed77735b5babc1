//! A thread that holds a tunnel's routes and addresses for as long as it lives ([`super::kept`]), as
//! its owner sees it: what is asked of it, and its end. What it made on other devices is gone when it
//! is dropped.

use std::collections::BTreeSet;
use std::sync::mpsc as blocking;
use std::thread::JoinHandle;

use tokio::sync::{mpsc, oneshot};

use super::cidr::Cidr;
use super::kept::{Device, Request, live};
use crate::error::Error;

/// A handle on the thread. Dropping it removes what was kept, and waits for that.
pub struct Keeper {
    requests: Option<mpsc::UnboundedSender<Request>>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    /// Starts it for the tunnel of that device.
    ///
    /// # Errors
    /// [`Error::Internal`] where no thread can be started.
    pub(super) fn start(device: Device) -> Result<Keeper, Error> {
        let (requests, inbox) = mpsc::unbounded_channel();
        let thread = std::thread::Builder::new()
            .name("zp-routes".into())
            .spawn(move || live(device, inbox))
            .map_err(|cause| Error::Internal(format!("cannot start a thread: {cause}")))?;
        Ok(Keeper {
            requests: Some(requests),
            thread: Some(thread),
        })
    }

    /// Sees to it that these destinations are reached outside the tunnel; those that are, now.
    pub(super) async fn keep_outside(&self, targets: Vec<Cidr>) -> Result<Vec<Cidr>, Error> {
        let answer = self.begin_outside(targets)?;
        answer.await.map_err(|_| ended())?
    }

    /// The same, with the answer for whoever wants to wait for it.
    pub(super) fn begin_outside(
        &self,
        targets: Vec<Cidr>,
    ) -> Result<oneshot::Receiver<Result<Vec<Cidr>, Error>>, Error> {
        let (reply, answer) = oneshot::channel();
        self.ask(Request::KeepOutside { targets, reply })?;
        Ok(answer)
    }

    /// Makes these the routes into the tunnel, and keeps the targets outside of them; whether that
    /// changed anything. Blocks.
    pub(super) fn route_into(
        &self,
        routes: BTreeSet<Cidr>,
        targets: Vec<Cidr>,
    ) -> Result<bool, Error> {
        let (reply, answer) = blocking::channel();
        self.ask(Request::RouteInto {
            routes,
            targets,
            reply,
        })?;
        answer.recv().map_err(|_| ended())?
    }

    fn ask(&self, request: Request) -> Result<(), Error> {
        let requests = self.requests.as_ref().ok_or_else(ended)?;
        requests.send(request).map_err(|_| ended())
    }
}

fn ended() -> Error {
    Error::Internal("the thread that keeps routes has ended".into())
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // The thread ends when nobody can ask it for anything any more.
        self.requests = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
