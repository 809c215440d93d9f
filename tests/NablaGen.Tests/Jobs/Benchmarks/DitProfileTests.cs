using NablaGen.Attention;
using NablaGen.Jobs.Benchmarks;
using NablaGen.Models;
using NablaGen.Models.Wan.Dit;
using NablaGen.Tensors;
using NablaGen.Tests.Models;

namespace NablaGen.Tests.Jobs.Benchmarks;

public class DitProfileTests
{
    private static readonly DitConfig Small = new() { Dim = 128, FfnDim = 256, NumHeads = 2, NumLayers = 3, TextLen = 16 };
    private static readonly VideoModel Model = NoWeights.Of(Small);

    [Fact]
    public void Every_operation_of_a_block_is_timed_and_has_a_floor()
    {
        var operations = DitProfile.Run(Model, (2, 16, 16), AttentionExpression.Parse("nabla-0.5"), ModuleOptions.Cpu, repeats: 3);

        Assert.All(operations, operation => Assert.True(operation.Milliseconds > 0 && operation.Floor > 0, operation.ToString()));
        Assert.Equal(operations.Count, operations.Select(operation => operation.Name).Distinct().Count());
        // Of the products a block has q, k, v, o twice and the feed-forward's two.
        Assert.Equal(10 * Small.NumLayers, operations.Where(o => o.Limit == "products" && !o.Name.Contains("attention at") && o.Name != "cross-attention").Sum(o => o.Calls));
    }

    [Fact]
    public void Dense_attention_has_density_one()
    {
        var operations = DitProfile.Run(Model, (1, 8, 8), AttentionExpression.Dense, ModuleOptions.Cpu, repeats: 1);
        Assert.Contains(operations, operation => operation.Name == "self-attention at density 1.000");
    }
}
