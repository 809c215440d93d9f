namespace NablaGen.Distributed;

/// <summary>
/// Who has which heads in each layer: in order at first, and then by what each head kept in the step before, so that heads of unequal density
/// end together. All ranks are told the same and so deal the same.
/// </summary>
/// <param name="heads">Heads of a layer.</param>
/// <param name="ranks">Over how many ranks.</param>
public sealed class HeadDeals(int heads, int ranks)
{
    // What a head takes beside its pairs of blocks, in the time of all its pairs: its exchange and its selection.
    private const double Base = 0.05;

    // A smaller gain is not worth the copies of heads that are no neighbours.
    private const double Worth = 0.98;

    private readonly HeadDeal _inOrder = HeadDeal.InOrder(heads, ranks);
    private readonly Dictionary<int, HeadDeal> _byLayer = [];

    /// <summary>Heads of a layer.</summary>
    public int Heads => heads;

    /// <summary>A layer's deal.</summary>
    public HeadDeal this[int layer] => _byLayer.GetValueOrDefault(layer, _inOrder);

    /// <summary>Deals a layer's heads for the next step.</summary>
    /// <param name="layer">The layer.</param>
    /// <param name="densities">Of each head, the share of the pairs of blocks that it kept: the mean over what was computed. [heads]</param>
    public void Deal(int layer, IReadOnlyList<double> densities)
    {
        var costs = densities.Select(density => density + Base).ToArray();
        var dealt = HeadDeal.ByCost(costs, ranks);
        _byLayer[layer] = dealt.Longest(costs) < Worth * _inOrder.Longest(costs) ? dealt : _inOrder;
    }
}
