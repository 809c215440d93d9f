using System.Globalization;
using NablaGen.Generation;
using NablaGen.Video.Labels;
using NablaGen.Video.Pictures;
using SixLabors.ImageSharp.PixelFormats;

namespace NablaGen.Jobs.Masks;

/// <summary>
/// The masks of a run as one picture: on top the density of every block over the run, then a row for each mask with what the block in the
/// middle of the video looks at. Frames are spread over the whole length.
/// </summary>
internal static class MaskSheet
{
    private const int MaxColumns = 8;
    private const int MaxThumbWidth = 200;
    private const int Gap = 6;
    private const int Margin = 16;
    private const float NameSize = 17;
    private const float DetailSize = 13;

    // What is not looked at stays a little visible.
    private const double Veil = 0.75;

    // How much of a heat map's colour is laid over the frame.
    private const double Heat = 0.55;

    private static readonly Rgb24 Outline = new(0xff, 0xff, 0xff), Dark = new(8, 10, 20);

    // The page's own: dark is little.
    private static readonly Rgb24[] Ramp = [new(28, 20, 68), new(59, 61, 148), new(36, 124, 156), new(46, 178, 130), new(164, 214, 74), new(253, 236, 120)];

    /// <summary>Writes the sheet, aside first.</summary>
    /// <inheritdoc cref="MaskPage.Save"/>
    public static void Save(string path, RecordedMasks masks, BlockGeometry geometry, string video, Recipe recipe, CancellationToken cancellation = default)
    {
        var layout = masks.Plan.Layout;
        var centre = (layout.Time / 2 * layout.BlockRows + layout.BlockRows / 2) * layout.BlockColumns + layout.BlockColumns / 2;
        var rows = Rows(masks, centre).ToArray();
        var times = Times(layout.Time, layout.Time / 2);
        var place = geometry.Of(centre);
        var note = $"what the outlined block looks at: {place.Width}\u00d7{place.Height} pixels of {Frames(geometry, layout.Time / 2)}"
            + (masks.Plan.IsThinned ? $"; {masks.Plan.Count} of the run's masks, evenly spread" : "");

        var thumbWidth = Math.Min(geometry.Width, MaxThumbWidth);
        var thumbHeight = Math.Max(1, (int)Math.Round((double)geometry.Height * thumbWidth / geometry.Width));
        var rowHeight = Math.Max(thumbHeight, (int)(3 * (NameSize + DetailSize) / 2));
        var left = 2 * Margin + rows.Max(row => Math.Max(LabelFont.Width(row.Name, NameSize), LabelFont.Width(row.Detail, DetailSize)));
        var top = Margin + (int)(4 * DetailSize);
        var columnWidth = Math.Max(thumbWidth, times.Max(time => LabelFont.Width(Frames(geometry, time), DetailSize))) + Gap;
        var width = Math.Max(left + times.Length * columnWidth - Gap + Margin, LabelFont.Width(note, DetailSize) + 2 * Margin);
        using var sheet = new RgbImage(width, top + rows.Length * (rowHeight + Gap) - Gap + Margin, LabelColours.Background);
        sheet.Text(note, Margin, Margin + (int)DetailSize, DetailSize, LabelColours.Detail);
        foreach (var (i, time) in times.Index())
        {
            sheet.Text(Frames(geometry, time), left + i * columnWidth, Margin + (int)(3 * DetailSize), DetailSize, LabelColours.Detail);
        }

        foreach (var (i, row) in rows.Index())
        {
            sheet.Text(row.Name, Margin, top + i * (rowHeight + Gap) + (int)NameSize, NameSize, LabelColours.Text);
            sheet.Text(row.Detail, Margin, top + i * (rowHeight + Gap) + (int)(NameSize + 1.5f * DetailSize), DetailSize, LabelColours.Detail);
        }

        FrameStills.Read(video, [.. times.Select(time => (geometry.Frames[time].First + geometry.Frames[time].Last) / 2)], (i, frameWidth, frameHeight, rgb24) =>
        {
            foreach (var (r, row) in rows.Index())
            {
                var bytes = rgb24.ToArray();
                Paint(bytes, geometry, times[i] * layout.BlockRows * layout.BlockColumns, row.Of, r > 0 && times[i] == layout.Time / 2 ? centre : null);
                using var thumb = RgbImage.Of(frameWidth, frameHeight, bytes);
                sheet.Place(thumb, left + i * columnWidth, top + r * (rowHeight + Gap), thumbWidth, thumbHeight);
            }
        }, cancellation);
        PictureFile.SavePng(path, sheet.Width, sheet.Height, sheet.ToRgb24(), new Dictionary<string, string> { ["Title"] = recipe.Prompt, ["Comment"] = recipe.ToJson() });
    }

    /// <summary>What the colours of densities reach from and to, in steps of 0.05, as on the page.</summary>
    internal static (double Least, double Most) Range(IReadOnlyList<double> densities)
    {
        var least = Math.Floor(densities.Min() * 20) / 20;
        return (least, Math.Max(least + 0.05, Math.Ceiling(densities.Max() * 20) / 20));
    }

    /// <summary>The colour of a share, from 0 to 1.</summary>
    internal static Rgb24 ColourOf(double share)
    {
        var at = Math.Clamp(share, 0, 1) * (Ramp.Length - 1);
        var below = Math.Min(Ramp.Length - 2, (int)at);
        return Mix(Ramp[below], Ramp[below + 1], at - below);
    }

    private static IEnumerable<(string Name, string Detail, Func<int, (Rgb24 Colour, double Amount, bool IsKept)> Of)> Rows(RecordedMasks masks, int centre)
    {
        var plan = masks.Plan;
        var (least, most) = Range(masks.BlockDensity);
        yield return ("density of the run", Density(masks.Density) + string.Create(CultureInfo.InvariantCulture, $", colours {least:0.00}\u2013{most:0.00}"),
            block => (ColourOf((masks.BlockDensity[block] - least) / (most - least)), Heat, false));
        foreach (var step in plan.Steps)
        {
            foreach (var layer in plan.Layers.Where(layer => masks.Found.ContainsKey((step, layer))))
            {
                foreach (var (i, head) in plan.Heads.Index())
                {
                    var bits = masks.Found[(step, layer)].Heads?[i];
                    bool Keeps(int block) => bits is null || (bits[centre * plan.RowBytes + block / 8] >> block % 8 & 1) != 0;
                    var share = (double)Enumerable.Range(0, plan.Layout.Blocks).Count(Keeps) / plan.Layout.Blocks;
                    yield return ($"step {step}, layer {layer}, head {head}", bits is null ? "dense" : $"{Density(share)} of the block",
                        block => (Dark, Keeps(block) ? 0 : Veil, Keeps(block)));
                }
            }
        }
    }

    private static string Density(double density) => string.Create(CultureInfo.InvariantCulture, $"density {density:0.000}");

    private static string Frames(BlockGeometry geometry, int time)
    {
        var (first, last) = geometry.Frames[time];
        return first == last ? $"frame {first + 1}" : $"frames {first + 1}\u2013{last + 1}";
    }

    // So many at even distances, the one in the middle among them.
    private static int[] Times(int count, int middle)
    {
        int[] spread = [.. Enumerable.Range(0, Math.Min(count, MaxColumns)).Select(i => count <= MaxColumns ? i : (int)Math.Round(i * (count - 1.0) / (MaxColumns - 1)))];
        if (!spread.Contains(middle))
        {
            spread[Enumerable.Range(0, spread.Length).MinBy(i => Math.Abs(spread[i] - middle))] = middle;
        }

        return spread;
    }

    private static void Paint(byte[] rgb24, BlockGeometry geometry, int firstBlock, Func<int, (Rgb24 Colour, double Amount, bool IsKept)> of, int? outlined)
    {
        foreach (var (row, (top, height)) in geometry.Rows.Index())
        {
            foreach (var (column, (left, width)) in geometry.Columns.Index())
            {
                var block = firstBlock + row * geometry.Columns.Count + column;
                var (colour, amount, isKept) = of(block);
                // In a dark video brightness alone does not tell what is looked at.
                var (line, edge) = block == outlined ? (Math.Max(2, geometry.Width / 80), Outline) : (isKept ? Math.Max(1, geometry.Width / 160) : 0, Ramp[^1]);
                for (var y = 0; y < height; y++)
                {
                    for (var x = 0; x < width; x++)
                    {
                        var isEdge = Math.Min(Math.Min(x, width - 1 - x), Math.Min(y, height - 1 - y)) < line;
                        var pixel = rgb24.AsSpan(((top + y) * geometry.Width + left + x) * 3, 3);
                        var mixed = isEdge ? edge : Mix(new Rgb24(pixel[0], pixel[1], pixel[2]), colour, amount);
                        (pixel[0], pixel[1], pixel[2]) = (mixed.R, mixed.G, mixed.B);
                    }
                }
            }
        }
    }

    private static Rgb24 Mix(Rgb24 under, Rgb24 over, double amount)
    {
        byte One(byte a, byte b) => (byte)Math.Round(a + (b - a) * amount);
        return new Rgb24(One(under.R, over.R), One(under.G, over.G), One(under.B, over.B));
    }
}
