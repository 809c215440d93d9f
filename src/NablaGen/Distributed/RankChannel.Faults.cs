namespace NablaGen.Distributed;

/// <content>What ends a job before its work is done.</content>
public sealed partial class RankChannel
{
    // The reason comes over another connection than the one that broke.
    private const int ReasonMilliseconds = 3000;

    private readonly List<Action<string>> _failed = [];
    private string? _fault;
    private bool _isShortage;

    /// <summary>What ended the job; null while it goes on.</summary>
    public string? Fault
    {
        get
        {
            lock (_gate)
            {
                return _fault;
            }
        }
    }

    /// <summary>Ends the job on all ranks; the first line counts.</summary>
    /// <param name="line">What ended it.</param>
    /// <param name="isShortage">Whether it is that the work needs more memory than a rank has.</param>
    public void Fail(string line, bool isShortage = false)
    {
        Action<string>[] failed;
        lock (_gate)
        {
            if (_fault is not null || _isClosed)
            {
                return;
            }

            (_fault, _isShortage) = (line, isShortage);
            failed = [.. _failed];
            Monitor.PulseAll(_gate);
        }

        Tell(isShortage ? RankFrame.Kind.Shortage : RankFrame.Kind.Fault, line);
        foreach (var action in failed)
        {
            action(line);
        }
    }

    /// <summary>Has an action called once the job has failed, on any thread.</summary>
    public void OnFailure(Action<string> action)
    {
        string? line;
        lock (_gate)
        {
            _failed.Add(action);
            line = _fault;
        }

        if (line is not null)
        {
            action(line);
        }
    }

    /// <summary>What to throw where a connection failed: in a moment it is known why.</summary>
    internal RankFaultException Lost(string otherwise)
    {
        lock (_gate)
        {
            var end = Environment.TickCount64 + ReasonMilliseconds;
            while (_fault is null && !_isClosed && Environment.TickCount64 < end && !_cancellation.IsCancellationRequested)
            {
                Monitor.Wait(_gate, 50);
            }
        }

        _cancellation.ThrowIfCancellationRequested();
        Fail(otherwise);
        return FaultOf(null) ?? new RankFaultException(otherwise);
    }

    /// <summary>The error of a job that has ended; null while it goes on.</summary>
    /// <param name="cause">How it showed here.</param>
    internal RankFaultException? FaultOf(Exception? cause)
    {
        lock (_gate)
        {
            return _fault is null ? null : new RankFaultException(_fault, _isShortage, cause);
        }
    }

    private void ThrowIfFailed()
    {
        if (FaultOf(null) is { } fault)
        {
            throw fault;
        }
    }
}
