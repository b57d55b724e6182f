/// Marks a task whose work is shared by several callers and goes on when they have left, such as a verification.
///
/// Nobody cancels such a task. So when it is the first to ask a ``SingleFlight`` for something, it may do that work in
/// its own task (`inOwnTask`) instead of starting another one: a task and the way back cost more than most of what is
/// done here.
package enum DetachedWork {
    /// Set by the code that starts such a task. Child tasks inherit it. If one of them is cancelled, the callers that
    /// wait for its work ask anew; they do not see the cancellation.
    @TaskLocal package static var isCurrent = false
}
