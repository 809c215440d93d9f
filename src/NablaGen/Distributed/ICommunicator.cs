using static TorchSharp.torch;

namespace NablaGen.Distributed;

/// <summary>
/// What the processes of one job exchange. Each is a <i>rank</i>, from 0. All ranks call the same methods in the same order; each call waits for
/// the others at most until one of them is found to have ended or to hang, and then fails on all of them with one line that names it.
/// </summary>
public interface ICommunicator : IDisposable
{
    /// <summary>This process's number, from 0.</summary>
    int Rank { get; }

    /// <summary>How many there are.</summary>
    int Size { get; }

    /// <summary>
    /// Sends tensors to ranks and receives tensors from ranks, all at once: an all-to-all, an all-gather and a swap of two are this with other
    /// lists. What goes from one rank to another arrives in the order of its list.
    /// </summary>
    /// <param name="sends">What to send, contiguous or not; none to this rank itself.</param>
    /// <param name="receives">Contiguous tensors to write to, of the type and the number of elements that the other sends.</param>
    /// <exception cref="NablaGenException">A rank has ended or hangs; the line names it.</exception>
    void Exchange(IReadOnlyList<Transfer> sends, IReadOnlyList<Transfer> receives);

    /// <summary>Gives each rank's bytes to all, through the host: a few numbers, seldom. Nobody returns before all have called it.</summary>
    /// <param name="own">This rank's.</param>
    /// <param name="isPatient">Whether a rank may take minutes to come, as it does when it reads a model.</param>
    /// <returns>By rank.</returns>
    /// <exception cref="NablaGenException">A rank has ended or hangs; the line names it.</exception>
    /// <exception cref="OperationCanceledException">This rank was cancelled.</exception>
    byte[][] Share(ReadOnlySpan<byte> own, bool isPatient = false);

    /// <summary>Waits until all ranks are here.</summary>
    /// <param name="isPatient">As for <see cref="Share"/>.</param>
    void Barrier(bool isPatient = false) => Share([], isPatient);

    /// <summary>Ends the work of all ranks, from any thread.</summary>
    /// <param name="line">Why, for the user.</param>
    void Abort(string line);
}

/// <summary>A tensor on its way.</summary>
/// <param name="Peer">The other rank.</param>
/// <param name="Tensor">What is sent, or where it is received.</param>
public readonly record struct Transfer(int Peer, Tensor Tensor);
