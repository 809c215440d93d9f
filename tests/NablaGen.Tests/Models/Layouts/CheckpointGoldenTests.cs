using NablaGen.Attention;
using NablaGen.Models.Wan;
using NablaGen.Models.Wan.Dit;
using NablaGen.Models.Wan.Layouts;
using NablaGen.Models.Wan.Layouts.Keys;
using NablaGen.Tensors;
using NablaGen.Tests.Weights;
using NablaGen.Weights;
using static TorchSharp.torch;

namespace NablaGen.Tests.Models.Layouts;

/// <summary>Files that other programs wrote of one small model, and what the reference makes of each.</summary>
public class CheckpointGoldenTests
{
    private static string Folder => Path.Combine(GoldenFolder.Path, "checkpoints");

    [Theory]
    [InlineData("base.safetensors", "out", "")]
    [InlineData("comfy-fp8-scaled.safetensors", "out.fp8", "model.diffusion_model.")]
    [InlineData("wan-Q4_K_M.gguf", "out.Q4_K_M", "")]
    public void A_whole_transformer_gives_the_references_output(string file, string output, string prefix)
    {
        using var piece = PieceFile.Open(Path.Combine(Folder, file));
        Assert.Equal((WanPiece.Transformer, "Wan", prefix), (piece!.Dialect.Piece, piece.Dialect.Program, piece.Prefix));
        // Shapes tell all but these.
        Assert.Equal(Config() with { TextLen = 512, Eps = 1e-6 }, ShapeSizes.Dit(piece.Source, Config().NumHeads));
        AssertOutput(piece.Source, output);
    }

    [Fact]
    public void Rows_in_eight_bits_give_the_references_output()
    {
        using var scope = NewDisposeScope();
        using var raw = new RawFile();
        using var source = SafetensorsFile.Open(Path.Combine(Folder, "base.safetensors"));
        var bytes = new GgufBytes().Key("general.architecture", "wan");
        foreach (var (key, entry) in source.Entries)
        {
            var values = source.Read(key).to_type(ScalarType.Float32);
            bytes = entry.Shape.Length == 2
                ? bytes.Tensor(key, GgufBytes.Type("Q8_0"), entry.Shape, EightBits(values.data<float>().ToArray()))
                : bytes.Tensor(key, GgufBytes.Type("F32"), entry.Shape, values.bytes.ToArray());
        }

        using var piece = PieceFile.Open(raw.Write("wan-Q8_0.gguf", bytes.ToArray()));
        AssertOutput(piece!.Source, "out.Q8_0");
    }

    [Theory]
    [InlineData("torch-zip-some-keys.pth", "")]
    [InlineData("torch-legacy-some-keys.pth", "")]
    [InlineData("torch-trainer-some-keys.pth", "module.")]
    public void What_torch_saved_has_the_same_tensors(string file, string prefix)
    {
        using var scope = NewDisposeScope();
        using var expected = SafetensorsFile.Open(Path.Combine(Folder, "base.safetensors"));
        using var piece = PieceFile.Open(Path.Combine(Folder, file));
        Assert.Equal((WanPiece.Transformer, prefix), (piece!.Dialect.Piece, piece.Prefix));
        Assert.NotEmpty(piece.Source.Entries);
        foreach (var name in piece.Source.Entries.Keys)
        {
            Assert.True(piece.Source.Read(name).eq(expected.Read(name)).all().item<bool>(), name);
        }

        RawFile.Fault(() => ShapeSizes.Dit(piece.Source), "patch_embedding.weight", "incomplete");
    }

    [Fact]
    public void Views_are_read_as_torch_sees_them()
    {
        using var scope = NewDisposeScope();
        using var file = PthFile.Open(Path.Combine(Folder, "torch-views.pth"));
        var whole = file.Read("shared.a");
        Assert.True(whole.eq(file.Read("shared.b")).all().item<bool>());
        Assert.True(whole.t().eq(file.Read("transposed")).all().item<bool>());
        Assert.True(whole.narrow(0, 1, 2).slice(1, 0, 4, 2).eq(file.Read("view")).all().item<bool>());
        Assert.Equal([0, 4], file.Read("empty").shape);
        Assert.Empty(file.Read("scalar").shape);
        Assert.Equal((StoredType.F8_E4M3, StoredType.F8_E5M2), (file.Entries["f8"].Type, file.Entries["f8e5m2"].Type));
        Assert.Equal(file.Read("f8").to_type(ScalarType.Float32).data<float>().ToArray(), file.Read("f8e5m2").to_type(ScalarType.Float32).data<float>().ToArray());
    }

    private static DitConfig Config()
    {
        var path = Path.Combine(Folder, "config.json");
        return ModelConfigs.ParseDit(File.ReadAllText(path), path);
    }

    private static void AssertOutput(ITensorSource source, string name)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var golden = Golden.Open("checkpoints/outputs");
        using var model = new WanModel(Config(), ModuleOptions.Cpu);
        CheckpointLoader.Load(source, model);
        var x = golden["x"];
        using var attention = AttentionFactory.Create(AttentionExpression.Dense, CPU, denseSteps: 0);
        using var run = new DitRun(model.Config, (int)x.shape[1], (int)x.shape[2], (int)x.shape[3], attention, ModuleOptions.Cpu);
        Golden.AssertClose(model.forward(x.unsqueeze(0), golden["t"], golden["context"].unsqueeze(0), run).squeeze(0), golden[name], 1e-5);
    }

    // As ggml does it: the largest of a block becomes 127.
    private static byte[] EightBits(float[] values) => [.. values.Chunk(32).SelectMany(block =>
    {
        var d = block.Max(Math.Abs) / 127;
        var inverse = d == 0 ? 0 : 1 / d;
        return BitConverter.GetBytes((Half)d).Concat(block.Select(value => (byte)(sbyte)MathF.Round(value * inverse, MidpointRounding.AwayFromZero)));
    })];
}
