/// Whether the task is work of nobody's own, which goes on when those who wait for it have left.
///
/// What such a task is the first to ask for it does itself, in one piece with what comes next, instead of waiting for
/// another task that does it: a task and the way back from it cost more than most of what is done here.
package enum DetachedWork {
    /// Set by whoever makes such a task. Its children have it too: should one of them be cancelled, who waits for what
    /// it was doing is not told so, but asks anew.
    @TaskLocal package static var isCurrent = false
}
