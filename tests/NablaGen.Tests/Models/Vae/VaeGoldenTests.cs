using static TorchSharp.torch;

namespace NablaGen.Tests.Models.Vae;

public class VaeGoldenTests
{
    [Theory]
    [InlineData("vae")]
    [InlineData("family/vae22")]
    public void Decoding_equals_the_reference(string file)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var golden = Golden.Open(file);
        using var model = golden.Vae();
        var frames = new List<Tensor>();
        model.Decode(golden["z"], chunk => frames.Add(chunk.DetachFromDisposeScope()));
        Golden.AssertClose(cat(frames, 2), golden["decoded"], 1e-5);
        frames.ForEach(chunk => chunk.Dispose());
    }

    [Theory]
    [InlineData("vae")]
    [InlineData("family/vae22")]
    public void Decoding_a_single_frame_equals_the_reference(string file)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var golden = Golden.Open(file);
        using var model = golden.Vae();
        model.Decode(golden["z"].narrow(2, 0, 1), chunk => Golden.AssertClose(chunk, golden["decoded.single_frame"], 1e-5));
    }

    [Theory]
    [InlineData("vae")]
    [InlineData("family/vae22")]
    public void Encoding_equals_the_reference(string file)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var golden = Golden.Open(file);
        using var model = golden.Vae();
        Golden.AssertClose(model.Encode(golden["clip"]), golden["encoded"], 1e-5);
    }

    [Theory]
    [InlineData("vae")]
    [InlineData("family/vae22")]
    public void All_frames_at_once_give_the_same(string file)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var golden = Golden.Open(file);
        using var model = golden.Vae();
        var (mean, std) = (Channels(model.Config.LatentsMean), Channels(model.Config.LatentsStd));
        Golden.AssertClose((model.EncodeMoments(golden["clip"]).Mean - mean) / std, golden["encoded"], 1e-5);
        Golden.AssertClose(model.DecodeWhole(golden["z"] * std + mean), golden["decoded"], 1e-5);

        static Tensor Channels(IReadOnlyList<float> values) => tensor(values.ToArray(), [1, values.Count, 1, 1, 1]);
    }
}
