namespace NablaGen.Hub;

/// <summary>How long a download bears with a hub.</summary>
internal sealed record HubPatience
{
    /// <summary>Attempts in a row that bring no byte before it gives up.</summary>
    public int Attempts { get; init; } = 6;

    /// <summary>The wait before the second attempt; each further one is twice as long.</summary>
    public TimeSpan FirstWait { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>The longest wait between attempts that it chooses by itself.</summary>
    public TimeSpan LongestWait { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>The longest that a server may ask it to wait.</summary>
    public TimeSpan LongestAsked { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>How long a connection may be silent.</summary>
    public TimeSpan Silence { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How long to wait after a failure.</summary>
    /// <param name="fault">The failure.</param>
    /// <param name="failures">Failures in a row, this one included.</param>
    /// <exception cref="NablaGenException">It was one too many, or the server asks for more than is borne.</exception>
    public TimeSpan WaitAfter(HubFault fault, int failures)
    {
        if (failures >= Attempts)
        {
            throw new NablaGenException($"{fault.Message} ({failures} attempts in a row): the same command goes on where it stopped.", fault);
        }

        if (fault.RetryAfter is { } asked)
        {
            return asked <= LongestAsked ? asked : throw new NablaGenException(
                $"{fault.Message}, and asks to wait {(long)asked.TotalSeconds} s: the same command goes on where it stopped.", fault);
        }

        var doubled = FirstWait * Math.Pow(2, failures - 1);
        return doubled < LongestWait ? doubled : LongestWait;
    }
}

/// <summary>A failure that may pass: a dropped connection, a server that is busy.</summary>
/// <param name="message">What happened, without a sign at its end.</param>
/// <param name="retryAfter">How long the server asks to wait; null where it says nothing.</param>
/// <param name="inner">The cause.</param>
internal sealed class HubFault(string message, TimeSpan? retryAfter = null, Exception? inner = null) : Exception(message, inner)
{
    /// <summary>How long the server asks to wait; null where it says nothing.</summary>
    public TimeSpan? RetryAfter => retryAfter;
}
