using NablaGen.Generation;

namespace NablaGen.Jobs.Batch;

/// <summary>One video of a batch.</summary>
/// <param name="Number">Its number in the whole batch, from 1.</param>
/// <param name="Where">The file and line it comes from.</param>
/// <param name="Name">The name of its files, without an ending.</param>
/// <param name="Request">What to make.</param>
/// <param name="Model">What makes it.</param>
public sealed record BatchRow(int Number, string Where, string Name, GenerationRequest Request, RowModel Model)
{
    /// <summary>The video's file name: a PNG where there is one frame.</summary>
    public string FileName => Name + (Request.Frames == 1 ? ".png" : ".mp4");

    /// <summary>About how much work it is beside others: pixels × passes.</summary>
    public double Work => (double)Request.Width * Request.Height * Request.Frames * Request.Steps * (Request.IsGuided ? 2 : 1);
}
