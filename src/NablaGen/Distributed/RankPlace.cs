using System.Globalization;

namespace NablaGen.Distributed;

/// <summary>Which process of a job this is, and where its rank 0 listens.</summary>
/// <param name="Rank">This process, from 0.</param>
/// <param name="Size">Processes of the job.</param>
/// <param name="LocalRank">This process among those of its machine, from 0: which GPU it has.</param>
/// <param name="Host">Rank 0's machine.</param>
/// <param name="Port">Rank 0's port.</param>
/// <param name="Job">What strangers do not know.</param>
public sealed record RankPlace(int Rank, int Size, int LocalRank, string Host, int Port, string Job)
{
    /// <summary>The port that our own launcher gives; torchrun's own store listens at <c>MASTER_PORT</c> itself.</summary>
    public const string PortVariable = "NABLAGEN_RANK_PORT";

    /// <summary>What the ranks of a job know each other by.</summary>
    public const string JobVariable = "NABLAGEN_RANK_JOB";

    private const string Loopback = "127.0.0.1";

    /// <summary>The place that the environment gives: torchrun's variables, or Slurm's; null where there are none.</summary>
    /// <param name="environment">Reads a variable.</param>
    /// <exception cref="InvalidRequestException">There are some, and they are wrong; the line says which.</exception>
    public static RankPlace? FromEnvironment(Func<string, string?> environment)
    {
        var (rank, size, local) = environment("RANK") is { Length: > 0 } ? ("RANK", "WORLD_SIZE", "LOCAL_RANK")
            : environment("SLURM_PROCID") is { Length: > 0 } && environment("SLURM_STEP_NUM_TASKS") is { Length: > 0 } and not "1"
            ? ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID") : default;
        if (rank is null)
        {
            return null;
        }

        int Number(string name, int least) =>
            int.TryParse(environment(name), NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number >= least
                ? number
                : throw new InvalidRequestException($"{name} is '{environment(name)}': expected a whole number of {least} or more, as torchrun and Slurm set it");

        var place = new RankPlace(Number(rank, 0), Number(size, 1), Number(local, 0), "", 0, environment(JobVariable) ?? "");
        if (place.Rank >= place.Size)
        {
            throw new InvalidRequestException($"{rank} is {place.Rank}, and {size} says that there are {place.Size} processes");
        }

        var host = environment("MASTER_ADDR") is { Length: > 0 } given ? given
            : rank == "RANK" ? Loopback
            : throw new InvalidRequestException("MASTER_ADDR is not set: under Slurm it must name the machine of task 0, and MASTER_PORT a free port there");
        // torchrun listens at MASTER_PORT for its own ranks.
        var port = environment(PortVariable) is { Length: > 0 } ? Number(PortVariable, 1) : Number("MASTER_PORT", 1) + 1;
        return place with { Host = host, Port = port };
    }

    /// <summary>What a rank's process gets, beside its parent's environment.</summary>
    internal IEnumerable<KeyValuePair<string, string>> Variables() =>
    [
        new("RANK", Text(Rank)), new("WORLD_SIZE", Text(Size)), new("LOCAL_RANK", Text(LocalRank)), new("MASTER_ADDR", Host), new("MASTER_PORT", Text(Port)),
        new(PortVariable, Text(Port)), new(JobVariable, Job),
    ];

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}
