using NablaGen.Attention;
using NablaGen.Generation;
using NablaGen.Models;

namespace NablaGen.Jobs.Masks;

/// <summary>The masks that a run records, as many as a file of them takes.</summary>
public sealed record MaskPlan
{
    /// <summary>The most masks of a page: more than anyone looks at.</summary>
    public const int MostOnPage = 4096;

    /// <summary>The most bytes of a page's masks, as bits.</summary>
    public const long MostBytes = 16L << 20;

    /// <summary>The most masks of a contact sheet: a row each.</summary>
    public const int MostOnSheet = 12;

    private MaskPlan(BlockLayout layout, IReadOnlyList<int>[] lists, bool isThinned)
    {
        Layout = layout;
        (Steps, Layers, Heads) = (lists[0], lists[1], lists[2]);
        IsThinned = isThinned;
    }

    /// <summary>The blocks.</summary>
    public BlockLayout Layout { get; }

    /// <summary>Solver steps, from 0, ascending.</summary>
    public IReadOnlyList<int> Steps { get; }

    /// <summary>Layers, from 0, ascending.</summary>
    public IReadOnlyList<int> Layers { get; }

    /// <summary>Heads, from 0, ascending.</summary>
    public IReadOnlyList<int> Heads { get; }

    /// <summary>Whether fewer are recorded than were chosen.</summary>
    public bool IsThinned { get; }

    /// <summary>How many masks these are.</summary>
    public int Count => Steps.Count * Layers.Count * Heads.Count;

    /// <summary>Bytes of a mask's row of bits.</summary>
    public int RowBytes => RowBytesOf(Layout);

    /// <summary>The masks to record of a run.</summary>
    /// <param name="choice">What is wanted.</param>
    /// <param name="request">The run.</param>
    /// <param name="model">The model.</param>
    /// <param name="most">The most masks.</param>
    /// <exception cref="InvalidRequestException">All of them are dense, or one is not there.</exception>
    public static MaskPlan Of(MaskChoice choice, GenerationRequest request, VideoModel model, int most)
    {
        if (request.Attention.IsDense)
        {
            throw new InvalidRequestException("--masks has nothing to show: attention 'dense' looks at every block: use a sparse one, such as --attention nabla-0.7");
        }

        var (traits, layout) = (model.Transformer, model.Transformer.LayoutOf(request.LatentShape(model.Latents)));
        IReadOnlyList<int>[] chosen =
        [
            Numbers("--masks-steps", "the run has steps", choice.Steps, request.DenseSteps, request.Steps),
            Numbers("--masks-layers", "the model has layers", choice.Layers, request.DenseLayers, traits.Layers),
            Numbers("--masks-heads", "a layer has heads", choice.Heads, 0, traits.Heads),
        ];
        if (chosen[0].Count == 0 || chosen[1].Count == 0 || chosen[0][^1] < request.DenseSteps || chosen[1][^1] < request.DenseLayers)
        {
            throw new InvalidRequestException($"--masks has nothing to show: of {request.Attention} the first {request.DenseSteps} steps and {request.DenseLayers} layers are dense, "
                + "and no others are chosen");
        }

        var thinned = Thin(chosen, [choice.Steps is null, choice.Layers is null, choice.Heads is null],
            Math.Max(1, Math.Min(most, MostBytes / ((long)layout.Blocks * RowBytesOf(layout)))));
        return new MaskPlan(layout, thinned, thinned.Zip(chosen).Any(pair => pair.First.Count < pair.Second.Count));
    }

    /// <summary>Takes numbers out, evenly, until the product of the lists' lengths is small enough: first where nobody chose, then from what was chosen.</summary>
    internal static IReadOnlyList<int>[] Thin(IReadOnlyList<int>[] lists, bool[] isFree, long most)
    {
        int[] counts = [.. lists.Select(list => list.Count)];
        while (counts.Aggregate(1L, (product, count) => product * count) > most)
        {
            var longest = Enumerable.Range(0, counts.Length).MaxBy(i => counts[i] <= 1 ? (0, 0) : (isFree[i] ? 1 : 0, counts[i]));
            counts[longest]--;
        }

        return [.. lists.Zip(counts, Spread)];
    }

    // So many of a list: the first, the last and those between at even distances; of one, the middle.
    private static IReadOnlyList<int> Spread(IReadOnlyList<int> list, int count) => count == list.Count
        ? list
        : [.. Enumerable.Range(0, count).Select(i => list[count == 1 ? list.Count / 2 : (int)((long)i * (list.Count - 1) / (count - 1))])];

    private static IReadOnlyList<int> Numbers(string option, string what, IReadOnlyList<int>? chosen, int first, int count) => chosen switch
    {
        null => [.. Enumerable.Range(first, Math.Max(0, count - first))],
        [.., var last] when last >= count => throw new InvalidRequestException($"{option} {last}: {what} 0 to {count - 1}"),
        _ => chosen,
    };

    private static int RowBytesOf(BlockLayout layout) => (layout.Blocks + 7) / 8;
}
