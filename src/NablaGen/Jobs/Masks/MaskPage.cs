using System.Globalization;
using NablaGen.Generation;
using NablaGen.Jobs.Pages;

namespace NablaGen.Jobs.Masks;

/// <summary>The masks of a run as a page: which blocks a block looks at, drawn over the video's frames, and the density of each block. One file, which opens from disk.</summary>
internal static class MaskPage
{
    private const int WidestStill = 640;
    private const int DensityDigits = 4;

    /// <summary>Writes the page, aside first.</summary>
    /// <param name="path">The page.</param>
    /// <param name="masks">What was recorded.</param>
    /// <param name="geometry">Where the blocks are.</param>
    /// <param name="video">The finished video.</param>
    /// <param name="recipe">What it was made with.</param>
    /// <param name="model">The numbers of all layers and heads.</param>
    /// <param name="cancellation">Stops the work.</param>
    /// <exception cref="NablaGenException">The video cannot be read, or the page cannot be written.</exception>
    public static void Save(
        string path, RecordedMasks masks, BlockGeometry geometry, string video, Recipe recipe, (int Layers, int Heads) model, CancellationToken cancellation = default)
    {
        var plan = masks.Plan;
        var stills = new string[geometry.Frames.Count];
        FrameStills.Read(video, [.. geometry.Frames.Select(frames => (frames.First + frames.Last) / 2)],
            (i, width, height, rgb24) => stills[i] = HtmlPage.Picture(width, height, rgb24, WidestStill), cancellation);
        var (places, bits) = Pack(masks);
        new HtmlPage
        {
            Name = "masks",
            Title = $"{HtmlPage.Shortened(recipe.Prompt, 60)} \u2013 NablaGen masks",
            Kind = "masks",
            Heading = recipe.Prompt,
            Facts = [recipe.Attention, string.Create(CultureInfo.InvariantCulture, $"density {masks.Density:0.000}"), .. HtmlPage.FactsOf(recipe)],
            Data = HtmlPage.ToJson(new MaskPageData(
                geometry.Width, geometry.Height, recipe.Fps,
                [.. geometry.Frames.Select(one => (int[])[one.First, one.Last])],
                [.. geometry.Rows.Select(one => (int[])[one.From, one.Count])],
                [.. geometry.Columns.Select(one => (int[])[one.From, one.Count])],
                stills, plan.Steps, plan.Layers, plan.Heads, places, Convert.ToBase64String(bits),
                [.. masks.BlockDensity.Select(density => Math.Round(density, DensityDigits))])),
            Places = new Dictionary<string, string>
            {
                ["density"] = masks.Density.ToString("0.000", CultureInfo.InvariantCulture),
                ["recorded"] = HtmlPage.Text(Recorded(plan, recipe.Steps, model)),
            },
        }.Save(path);
    }

    // By step and layer the number of its first mask among all bits; below 0 where there is none.
    private static (int[][] Places, byte[] Bits) Pack(RecordedMasks masks)
    {
        var (plan, packed, count) = (masks.Plan, new MemoryStream(), 0);
        var places = plan.Steps.Select(step => plan.Layers.Select(layer =>
        {
            if (!masks.Found.TryGetValue((step, layer), out var found))
            {
                return MaskPageData.Skipped;
            }

            if (found.Heads is null)
            {
                return MaskPageData.Dense;
            }

            foreach (var head in found.Heads)
            {
                packed.Write(head);
            }

            count += found.Heads.Count;
            return count - found.Heads.Count;
        }).ToArray()).ToArray();
        return (places, packed.ToArray());
    }

    private static string Recorded(MaskPlan plan, int steps, (int Layers, int Heads) model) =>
        $"Recorded: {plan.Steps.Count} of {steps} steps, {plan.Layers.Count} of {model.Layers} layers and {plan.Heads.Count} of {model.Heads} heads, counted from 0; "
        + "of a guided step, the pass with the prompt."
        + (plan.IsThinned
            ? $" More were chosen than a page takes ({MaskPlan.MostOnPage:N0} masks or {MaskPlan.MostBytes >> 20} MiB), so they were thinned out evenly: "
                + "--masks-steps, --masks-layers and --masks-heads say which to record."
            : "");
}

/// <summary>What the page's script works on. Blocks are numbered frame by frame, row by row.</summary>
/// <param name="Width">Columns of pixels.</param>
/// <param name="Height">Rows of pixels.</param>
/// <param name="Fps">Frames a second.</param>
/// <param name="Frames">First and last video frame of each row of blocks in time.</param>
/// <param name="Rows">First row of pixels of each row of blocks, and how many.</param>
/// <param name="Columns">First column of pixels of each column of blocks, and how many.</param>
/// <param name="Stills">A frame for each of <paramref name="Frames"/>, as a <c>data:</c> address.</param>
/// <param name="Steps">Recorded steps.</param>
/// <param name="Layers">Recorded layers.</param>
/// <param name="Heads">Recorded heads.</param>
/// <param name="Places">By step and layer the number of its first head's mask; <see cref="Skipped"/> or <see cref="Dense"/> where there is none.</param>
/// <param name="Bits">The masks back to back, in base64: rows of ⌈blocks / 8⌉ bytes, the lowest bit first.</param>
/// <param name="Density">The mean density of each block over the run.</param>
internal sealed record MaskPageData(
    int Width, int Height, int Fps, IReadOnlyList<int[]> Frames, IReadOnlyList<int[]> Rows, IReadOnlyList<int[]> Columns, IReadOnlyList<string> Stills,
    IReadOnlyList<int> Steps, IReadOnlyList<int> Layers, IReadOnlyList<int> Heads, int[][] Places, string Bits, IReadOnlyList<double> Density)
{
    /// <summary>A step cache skipped the step.</summary>
    public const int Skipped = -1;

    /// <summary>The layer was dense.</summary>
    public const int Dense = -2;
}
