using System.Text.Json;
using static TorchSharp.torch;

namespace NablaGen.Tests.Models;

public class TextEncoderGoldenTests
{
    [Fact]
    public void Output_equals_the_reference()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var golden = Golden.Open("t5");
        using var model = golden.TextEncoder();
        var expected = golden["out"];
        var actual = model.forward(golden["ids"].to_type(ScalarType.Int64), golden["mask"]);

        var lengths = Lengths(golden);
        for (var row = 0; row < lengths.Length; row++)
        {
            Golden.AssertClose(actual[row].narrow(0, 0, lengths[row]), expected[row].narrow(0, 0, lengths[row]), 1e-5);
        }
    }

    [Fact]
    public void Encoding_the_true_tokens_alone_equals_the_reference()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var golden = Golden.Open("t5");
        using var model = golden.TextEncoder();
        var lengths = Lengths(golden);
        for (var row = 0; row < lengths.Length; row++)
        {
            var ids = golden["ids"][row].data<int>().Take(lengths[row]).ToArray();
            Golden.AssertClose(model.Encode(ids).squeeze(0), golden["out"][row].narrow(0, 0, lengths[row]), 1e-5);
        }
    }

    private static int[] Lengths(Golden golden) => JsonSerializer.Deserialize<int[]>(golden.Metadata("lengths"))!;
}
