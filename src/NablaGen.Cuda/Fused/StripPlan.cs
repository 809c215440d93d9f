using NablaGen.Cuda.Attention;

namespace NablaGen.Cuda.Fused;

/// <summary>How the gradients of the norms cut a batch's rows into strips, one a thread block. Contract: strips.cuh.</summary>
/// <param name="Group">Threads a row.</param>
/// <param name="Threads">Threads a block.</param>
/// <param name="StripRows">Rows of a strip; the last of a batch may have fewer.</param>
/// <param name="Strips">Strips of a batch.</param>
internal readonly record struct StripPlan(int Group, int Threads, int StripRows, int Strips)
{
    // A row up to that wide is one warp's.
    private const int NarrowColumns = 512;
    private const int NarrowThreads = 256;

    // Enough for every thread of a multiprocessor, whatever the registers leave of them.
    private const int BlocksPerMultiprocessor = 8;

    // Below that the strips' sums would be as much to write as the rows.
    private const int LeastRows = 8;

    /// <summary>The plan for a device of so many multiprocessors.</summary>
    public static StripPlan For(int multiprocessors, int batch, int rows, int columns)
    {
        var group = columns <= NarrowColumns ? 32 : FusedOp.Threads(columns / 8, 320);
        var threads = columns <= NarrowColumns ? NarrowThreads : group;
        var wanted = (multiprocessors * BlocksPerMultiprocessor + batch - 1) / batch;
        var strips = Math.Clamp(wanted, 1, Math.Max(1, rows / (LeastRows * threads / group)));
        var stripRows = (rows + strips - 1) / strips;
        return new StripPlan(group, threads, stripRows, (rows + stripRows - 1) / stripRows);
    }

    /// <summary>Macros of a kernel with this plan.</summary>
    public string[] Macros(ElementType type, int columns, params ReadOnlySpan<string> more) =>
        FusedOp.Macros(type, [$"COLUMNS={columns}", $"GROUP={Group}", $"THREADS={Threads}", .. more]);
}
