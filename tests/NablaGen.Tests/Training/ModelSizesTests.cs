using NablaGen.Models.Wan.Dit;
using NablaGen.Models.Wan.Text;
using NablaGen.Models.Wan.Text.Tokenizer;
using NablaGen.Models.Wan.Vae;
using NablaGen.Tensors;
using NablaGen.Training.Models;
using static TorchSharp.torch;

namespace NablaGen.Tests.Training;

public class ModelSizesTests
{
    [Fact]
    public void The_model_in_the_box_fits_into_24_MB()
    {
        var tokenizer = new FileInfo(Toys.BoxTokenizer);
        var sizes = ModelSizes.Tiny.WithVocabulary(UmT5Tokenizer.Load(tokenizer.FullName).VocabularySize);
        var (dit, text, vae) = (Count(new WanModel(sizes.Dit, ModuleOptions.Meta)), Count(new T5Encoder(sizes.Others.TextEncoder, ModuleOptions.Meta)),
            Count(new WanVae(sizes.Others.Vae, ModuleOptions.Meta)));
        TestContext.Current.SendDiagnosticMessage($"dit {dit:N0}, text {text:N0}, vae {vae:N0}");
        Assert.InRange(2 * (dit + text + vae) + tokenizer.Length, 18_000_000, 23_900_000);
    }

    [Theory]
    [InlineData("tiny")]
    [InlineData("toy")]
    public void Sizes_survive_their_files(string name)
    {
        using var folder = new TempFolder();
        var sizes = ModelSizes.Find(name).WithVocabulary(777);
        sizes.Save(folder.Path);
        var read = ModelSizes.Open(folder.Path);
        Assert.Equal(sizes.Dit, read.Dit);
        Assert.Equal(sizes.Others.TextEncoder, read.Others.TextEncoder);
        Assert.Equal(sizes.Others.Defaults, read.Others.Defaults);
        Assert.Equal(sizes.Others.Vae.LatentsStd, read.Others.Vae.LatentsStd);
        Assert.Equal(sizes.Others.Vae.DimMult, read.Others.Vae.DimMult);
    }

    [Fact]
    public void A_text_models_sizes_become_those_of_a_picture_model()
    {
        using var folder = new TempFolder();
        var sizes = ModelSizes.Tiny.ForTask("i2v");
        Assert.Equal((36, 16, 20), (sizes.Dit.InDim, sizes.Dit.OutDim, sizes.Dit.GuideChannels));
        sizes.Save(folder.Path);
        Assert.Equal(sizes.Dit, ModelSizes.Open(folder.Path).Dit);
        Assert.Same(sizes, sizes.ForTask("i2v"));
        Assert.Contains("model_type is 'i2v'", Assert.Throws<InvalidRequestException>(() => sizes.ForTask("t2v")).Message);
        var other = sizes with { Dit = ModelSizes.Tiny.Dit, Others = sizes.Others with { Vae = sizes.Others.Vae with { TemporalDownsample = [false, false, true] } } };
        Assert.Contains("latent frames are 4 frames, found 2", Assert.Throws<InvalidRequestException>(() => other.ForTask("i2v")).Message);
    }

    private static long Count(nn.Module module)
    {
        using (module)
        {
            return module.Shapes().Values.Sum(shape => shape.Aggregate(1L, (product, side) => product * side));
        }
    }
}
