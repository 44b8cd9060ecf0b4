//! Seccomp: the system calls of a process that computes, waits and speaks over the files it has. Everything else fails
//! with `EPERM`, which code can handle; a process that dies says less.

use std::collections::BTreeMap;

use libc::c_long;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

/// Allowed whatever their arguments are.
const ALLOWED: &[c_long] = &[
    // Memory: of guests, of stacks, and images of guests' memory that are mapped more than once (memfd).
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_membarrier,
    libc::SYS_memfd_create,
    libc::SYS_ftruncate,
    // Files: the three streams, the bundle, granted directories. What can be opened is Landlock's to say.
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_pread64,
    libc::SYS_preadv,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_pwrite64,
    libc::SYS_close,
    libc::SYS_fcntl,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_lseek,
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_getdents64,
    libc::SYS_readlinkat,
    libc::SYS_fadvise64,
    libc::SYS_dup,
    libc::SYS_dup3,
    // Waiting for them.
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_eventfd2,
    libc::SYS_ppoll,
    libc::SYS_pipe2,
    // Threads and their signals.
    libc::SYS_futex,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_sigaltstack,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_restart_syscall,
    libc::SYS_exit,
    libc::SYS_exit_group,
    // Time, randomness, and questions about this machine.
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_getrandom,
    libc::SYS_uname,
    libc::SYS_sysinfo,
];

/// Older forms of the same, which one architecture has kept.
#[cfg(target_arch = "x86_64")]
const ALLOWED_HERE: &[c_long] = &[libc::SYS_poll, libc::SYS_epoll_wait, libc::SYS_gettimeofday, libc::SYS_time];
#[cfg(not(target_arch = "x86_64"))]
const ALLOWED_HERE: &[c_long] = &[];

/// From now on this thread, and every one it starts, can do nothing else.
pub(super) fn only_needed() -> Result<(), String> {
    let architecture = TargetArch::try_from(std::env::consts::ARCH)
        .map_err(|_| format!("system calls of {} cannot be filtered", std::env::consts::ARCH))?;
    let refuse = |error: i32| SeccompAction::Errno(error.unsigned_abs());
    let allowed = rules().map_err(|error| error.to_string())?;
    // The arguments of `clone3` lie in memory, where no filter can see them. Told that there is none, the C library takes
    // `clone`, whose arguments can be seen.
    let clone3 = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    let filters = [
        SeccompFilter::new(clone3, SeccompAction::Allow, refuse(libc::ENOSYS), architecture),
        SeccompFilter::new(allowed, refuse(libc::EPERM), SeccompAction::Allow, architecture),
    ];
    // Both are made before one of them is in force.
    let programs = filters.into_iter().map(|filter| filter.and_then(BpfProgram::try_from));
    let programs: Vec<BpfProgram> = programs.collect::<Result<_, _>>().map_err(|error| error.to_string())?;
    for program in &programs {
        seccompiler::apply_filter(program).map_err(|error| format!("this kernel has no seccomp filters: {error}"))?;
    }
    Ok(())
}

fn rules() -> Result<BTreeMap<i64, Vec<SeccompRule>>, BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    for call in ALLOWED.iter().chain(ALLOWED_HERE) {
        rules.insert(*call, Vec::new());
    }
    // Seen by the filter above, which refuses it.
    rules.insert(libc::SYS_clone3, Vec::new());
    // A thread is no process.
    let thread = libc::CLONE_THREAD as u64;
    rules.insert(libc::SYS_clone, vec![when(0, SeccompCmpOp::MaskedEq(thread), thread)?]);
    // Its own signals alone: `abort` sends one.
    rules.insert(libc::SYS_tgkill, vec![when(0, SeccompCmpOp::Eq, u64::from(std::process::id()))?]);
    // Its own limits, as the C library asks for them when it makes a stack.
    rules.insert(libc::SYS_prlimit64, vec![when(0, SeccompCmpOp::Eq, 0)?]);
    // Names of threads and of memory.
    let names = [libc::PR_SET_NAME as u64, libc::PR_SET_VMA as u64];
    let names = names.into_iter().map(|option| when(0, SeccompCmpOp::Eq, option));
    rules.insert(libc::SYS_prctl, names.collect::<Result<_, _>>()?);
    // Waiting or not waiting on a stream.
    let modes = [libc::FIONBIO, libc::FIOCLEX].into_iter().map(|request| when(1, SeccompCmpOp::Eq, request));
    rules.insert(libc::SYS_ioctl, modes.collect::<Result<_, _>>()?);
    Ok(rules)
}

/// A system call whose argument number `index` is as said.
fn when(index: u8, operator: SeccompCmpOp, value: u64) -> Result<SeccompRule, BackendError> {
    SeccompRule::new(vec![SeccompCondition::new(index, SeccompCmpArgLen::Dword, operator, value)?])
}
