using System.Globalization;

namespace NablaGen.Generation;

/// <summary>Asks before a job that takes more than a day or more memory than is free.</summary>
/// <param name="agrees">Is told what the job takes, and says whether it is to be done.</param>
public sealed class JobLimit(Func<string, bool> agrees)
{
    /// <summary>The longest job that nobody is asked about.</summary>
    public static TimeSpan Longest { get; } = TimeSpan.FromDays(1);

    /// <summary>Videos of the job: the time of the first stands for that of each.</summary>
    public int Videos { get; set; } = 1;

    // Who has agreed is not asked again.
    private readonly HashSet<string> _agreed = [];

    /// <summary>Days, where they are two or more: <c>3.4 days</c>; null below.</summary>
    public static string? Text(TimeSpan time) =>
        time.TotalDays >= 365 * 100 ? "more than a century" : time.TotalDays >= 2 ? string.Create(CultureInfo.InvariantCulture, $"{time.TotalDays:0.0} days") : null;

    /// <summary>Sees that a job's time is agreed to.</summary>
    /// <param name="sampling">The sampling of one video.</param>
    /// <exception cref="NablaGenException">It is not.</exception>
    internal void CheckTime(TimeSpan sampling)
    {
        var all = sampling.TotalDays * Videos > TimeSpan.MaxValue.TotalDays / 2 ? TimeSpan.MaxValue / 2 : sampling * Videos;
        if (all > Longest && !Agrees("time", $"sampling{(Videos == 1 ? "" : $" {Videos} videos")} takes about {Text(all) ?? $"{all.TotalHours:0} hours"}"))
        {
            throw new NablaGenException($"sampling{(Videos == 1 ? "" : $" {Videos} videos")} takes about {Text(all) ?? $"{all.TotalHours:0} hours"}, and nobody has agreed to more than a day: "
                + "--yes does it all the same; fewer --steps or --frames or a smaller size take less");
        }
    }

    /// <summary>Whether a job that needs too much memory is to be tried.</summary>
    /// <param name="what">What it needs and what there is.</param>
    internal bool AgreesToMemory(string what) => Agrees("memory", what);

    private bool Agrees(string kind, string what)
    {
        if (_agreed.Contains(kind))
        {
            return true;
        }

        return agrees(what) && _agreed.Add(kind);
    }
}
