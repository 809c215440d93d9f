using System.Diagnostics;

namespace NablaGen.Training.Runs;

/// <summary>How long one run goes on, and what it does on the way.</summary>
public sealed record RunLimits
{
    /// <summary>Steps of the whole training.</summary>
    public required int Steps { get; init; }

    /// <summary>Time after which this run stops; null for none. Saving comes on top.</summary>
    public TimeSpan? Time { get; init; }

    /// <summary>Whether the learning rate falls to its end within <see cref="Time"/>, over as many steps as that turns out to be.</summary>
    public bool Anneals { get; init; }

    /// <summary>The time so far: that of the command, not of the loop alone.</summary>
    public Stopwatch Clock { get; init; } = Stopwatch.StartNew();

    /// <summary>Steps from one record of the loss to the next.</summary>
    public int RecordEvery { get; init; } = 20;

    /// <summary>Steps from one picture to the next; 0 for none but the last.</summary>
    public int PictureEvery { get; init; }

    /// <summary>Time from one checkpoint to the next; the last comes at the end in any case.</summary>
    public TimeSpan SaveEvery { get; init; } = TimeSpan.FromMinutes(3);
}
