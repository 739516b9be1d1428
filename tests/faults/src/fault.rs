//! The faults.

use std::time::Duration;

use anyhow::Result;
use tokio::time::sleep;

use crate::disk::Disk;
use crate::process::{children, signal};
use crate::scene::Scene;

/// A fault, and the scene that it needs.
pub struct Fault {
    /// The name, in the table.
    pub name: &'static str,
    /// What the scene has besides a server and a sidecar.
    pub needs: Needs,
    kind: Kind,
}

/// What a scene has besides a server and a sidecar.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Nothing.
    Nothing,
    /// A server on a disk of its own.
    Disk,
    /// A server with a clock of its own.
    Clock,
    /// A standby that must confirm each commit.
    Standby,
    /// PgBouncer between the server and its clients.
    Pooler,
}

#[derive(Clone, Copy)]
enum Kind {
    KillServer,
    KillBackend,
    KillSealer,
    KillSidecar,
    RestartFast,
    RestartImmediate,
    CutConnections,
    SilentConnections,
    PauseServer,
    RestartPooler,
    FillDisk,
    StepClock,
    Promote,
}

/// All faults.
pub const FAULTS: [Fault; 13] = [
    Fault { name: "server killed (kill -9)", needs: Needs::Nothing, kind: Kind::KillServer },
    Fault { name: "server process killed (kill -9)", needs: Needs::Nothing, kind: Kind::KillBackend },
    Fault { name: "sealer killed (kill -9)", needs: Needs::Nothing, kind: Kind::KillSealer },
    Fault { name: "sidecar killed (kill -9)", needs: Needs::Nothing, kind: Kind::KillSidecar },
    Fault { name: "server restarted (fast)", needs: Needs::Nothing, kind: Kind::RestartFast },
    Fault { name: "server restarted (immediate)", needs: Needs::Nothing, kind: Kind::RestartImmediate },
    Fault { name: "connections cut", needs: Needs::Nothing, kind: Kind::CutConnections },
    Fault { name: "connections silent for 3 s, then cut", needs: Needs::Nothing, kind: Kind::SilentConnections },
    Fault { name: "server stands still for 2 s", needs: Needs::Nothing, kind: Kind::PauseServer },
    Fault { name: "PgBouncer restarted", needs: Needs::Pooler, kind: Kind::RestartPooler },
    Fault { name: "disk full for 2 s", needs: Needs::Disk, kind: Kind::FillDisk },
    Fault { name: "clock steps a day ahead and back", needs: Needs::Clock, kind: Kind::StepClock },
    Fault { name: "primary killed, standby promoted", needs: Needs::Standby, kind: Kind::Promote },
];

impl Fault {
    /// Returns why this machine does not permit the fault, if so.
    pub fn is_possible(&self) -> Result<(), String> {
        if self.needs == Needs::Disk { Disk::is_possible() } else { Ok(()) }
    }

    /// Lets the fault happen, and ends it.
    pub async fn happen(&self, scene: &mut Scene) -> Result<()> {
        match self.kind {
            Kind::KillServer => {
                signal("KILL", &[scene.cluster().postmaster()?])?;
                scene.cluster().start_again()?;
            }
            Kind::KillBackend => {
                let backend = scene.pid_of("backend_type = 'client backend' AND application_name = 'orders'").await?;
                signal("KILL", &[backend])?;
            }
            Kind::KillSealer => {
                let sealer = scene.pid_of("backend_type = 'audit_log sealer' AND datname = current_database()").await?;
                signal("KILL", &[sealer])?;
            }
            Kind::KillSidecar => {
                signal("KILL", &[scene.sidecar_pid()?])?;
                scene.start_sidecar()?;
            }
            Kind::RestartFast => scene.cluster().restart("fast"),
            Kind::RestartImmediate => scene.cluster().restart("immediate"),
            Kind::CutConnections => {
                for _ in 0..10 {
                    scene.proxies().iter().for_each(|proxy| proxy.cut());
                    sleep(Duration::from_millis(150)).await;
                }
            }
            Kind::SilentConnections => {
                scene.proxies().iter().for_each(|proxy| proxy.fall_silent());
                sleep(Duration::from_secs(3)).await;
                scene.proxies().iter().for_each(|proxy| proxy.cut());
            }
            Kind::PauseServer => {
                let postmaster = scene.cluster().postmaster()?;
                let mut all = vec![postmaster];
                all.extend(children(postmaster));
                signal("STOP", &all)?;
                sleep(Duration::from_secs(2)).await;
                signal("CONT", &all)?;
            }
            Kind::RestartPooler => scene.restart_poolers(),
            Kind::FillDisk => {
                scene.disk()?.fill()?;
                sleep(Duration::from_secs(2)).await;
                scene.disk()?.free()?;
                // If the server cannot write its log of transactions, it ends.
                if !scene.cluster().is_running() {
                    scene.cluster().start_again()?;
                }
            }
            Kind::StepClock => {
                scene.cluster().set_clock(1);
                sleep(Duration::from_secs(1)).await;
                scene.cluster().set_clock(0);
            }
            Kind::Promote => scene.promote().await?,
        }
        Ok(())
    }
}
