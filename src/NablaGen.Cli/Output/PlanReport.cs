using NablaGen.Memory;

namespace NablaGen.Cli.Output;

/// <summary>What a memory plan says before the work.</summary>
internal static class PlanReport
{
    public static IEnumerable<string> Lines(MemoryPlan plan)
    {
        var isGeneration = plan.Layers > 0;
        if (isGeneration)
        {
            yield return $"plan: {Text(plan)}, {Pictures(plan)}{Transformer(plan)}, then {Vae(plan)}";
        }
        else
        {
            yield return $"plan: {Vae(plan)}";
        }

        yield return $"plan: {ByteSize.Text(plan.Peak)} expected at most, {ProgressReport.Name(plan.LargestStage)}, of {ByteSize.Text(plan.Budget)}; "
            + (plan.HostBytes > 0 ? $"{ByteSize.Text(plan.HostBytes)} of the machine's memory; " : "")
            + (plan.SamplingTime is { } time ? $"sampling takes at most {ProgressReport.Time(time)}" : "the first layer shows the time");
    }

    private static string Text(MemoryPlan plan) => plan.IsTextEncoderOnDevice ? "the text encoder first, freed afterwards" : "the text encoder on the CPU";

    // Whole frames go without saying.
    private static string Pictures(MemoryPlan plan) => plan.Pictures is { Tiling: { Height: > 0 } or { Width: > 0 } } tiled ? $"pictures encoded in {tiled.Name}, " : "";

    private static string Transformer(MemoryPlan plan)
    {
        var name = plan.Experts == 1 ? "the transformer" : "each of two experts";
        var turns = plan.Experts == 1 ? "" : plan.KeepsExperts ? ", both in memory" : ", which change places once a video";
        return plan.StreamedLayers == 0
            ? $"{name} with all {plan.Layers} layers{turns}"
            : $"{name} with {plan.ResidentLayers + plan.FixedLayers} of {plan.Layers + plan.FixedLayers} layers, the others {(plan.Parts > 1 ? $"in parts on {plan.Parts} GPUs" : "streamed from the host")}{turns}";
    }

    private static string Vae(MemoryPlan plan) => $"the VAE in {plan.Vae.Name}{(plan.KeepsBoth ? " beside it" : "")}";
}
