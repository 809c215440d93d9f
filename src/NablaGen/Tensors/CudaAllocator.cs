namespace NablaGen.Tensors;

/// <summary>How libtorch's allocator takes memory from the device.</summary>
/// <remarks>
/// By default in segments of fixed size, and what of a segment no tensor fits is lost. Segments that grow lose less (docs/performance.md has
/// both), but with them an allocation that cannot be served first maps all that the device has free, unless the allocator has a limit that
/// refuses it before. <see cref="DeviceCache"/> lives by such refusals, so where segments grow there is a limit too.
/// </remarks>
internal static class CudaAllocator
{
    /// <summary>The variable libtorch reads; the user's own value is kept.</summary>
    public const string Variable = "PYTORCH_CUDA_ALLOC_CONF";

    // The variable's new name since PyTorch 2.9; a user may have set either.
    private const string NewVariable = "PYTORCH_ALLOC_CONF";

    private const string Growing = "expandable_segments:True";

    private const string Limit = "per_process_memory_fraction";

    // libtorch takes 1 for "no limit". What is missing here is less than a CUDA context takes, so the limit never bites.
    private const string NearlyAll = Limit + ":0.9999";

    private static AllocatorSettings _settings = new(Growing, false);

    /// <summary>Whether segments grow, as far as the environment says.</summary>
    public static bool SegmentsGrow => OperatingSystem.IsLinux() && Grows(_settings.Value);

    /// <summary>Whether an allocation larger than the device is refused without touching the device's memory.</summary>
    public static bool RefusesEarly => !SegmentsGrow || _settings.HasLimit;

    /// <summary>Sets the variables that libtorch reads. Only before libtorch is loaded.</summary>
    /// <param name="library">libtorch's c10_cuda, which need not be there.</param>
    public static void Configure(string library)
    {
        var variable = Set(NewVariable) is null ? Variable : NewVariable;
        _settings = Choose(Set(variable), KnowsLimit(library));
        if (_settings.Value.Length > 0)
        {
            NativeEnvironment.Set(variable, _settings.Value);
        }
    }

    /// <summary>The settings for a libtorch.</summary>
    /// <param name="own">The user's value; null for none.</param>
    /// <param name="knowsLimit">Whether this libtorch has the setting that limits a process; null without a CUDA libtorch.</param>
    internal static AllocatorSettings Choose(string? own, bool? knowsLimit) => (own, knowsLimit) switch
    {
        // Nothing reads it; estimates for a GPU are made as for one with growing segments.
        (null, null) => new AllocatorSettings(Growing, false),
        (null, true) => new AllocatorSettings($"{Growing},{NearlyAll}", true),
        // Without the limit, segments of fixed size: slower to share, but they harm no other process.
        (null, false) => new AllocatorSettings("", false),
        ({ } value, _) when value.Contains(Limit, StringComparison.OrdinalIgnoreCase) => new AllocatorSettings(value, true),
        ({ } value, true) when Grows(value) => new AllocatorSettings($"{value.TrimEnd(',', ' ')},{NearlyAll}", true),
        ({ } value, _) => new AllocatorSettings(value, false),
    };

    private static bool Grows(string settings) => settings.Contains(Growing, StringComparison.OrdinalIgnoreCase);

    // An unknown setting ends libtorch as it is loaded, so its text is looked for in the library, which is about a megabyte.
    private static bool? KnowsLimit(string library)
    {
        if (!File.Exists(library))
        {
            return null;
        }

        try
        {
            return File.ReadAllBytes(library).AsSpan().IndexOf("per_process_memory_fraction"u8) >= 0;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    private static string? Set(string variable) => Environment.GetEnvironmentVariable(variable) is { Length: > 0 } value ? value : null;

    /// <summary>What libtorch is told.</summary>
    /// <param name="Value">The variable's value; empty leaves it unset.</param>
    /// <param name="HasLimit">Whether it limits the process's memory.</param>
    internal readonly record struct AllocatorSettings(string Value, bool HasLimit);
}
