using System.Runtime.CompilerServices;
using NablaGen.Models.Wan.Dit;
using NablaGen.Models.Wan.Image;
using NablaGen.Models.Wan.Text;
using NablaGen.Models.Wan.Vae;
using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Tests.Models;

/// <summary>
/// Every key and shape of the official checkpoints, made on the meta device and approved by hand. After a wanted change, run with
/// NABLAGEN_APPROVE=1 and read the difference.
/// </summary>
public class CheckpointKeyTests
{
    // Counted in the reference's own modules (wan/modules): 27 keys a block and 15 around; 10 a block and 2; 194. With pictures 5 more a block
    // and 8 more around, and the positions of two; 12 a layer of the image encoder and 5; 196.
    [Theory]
    [InlineData("wan2.1-t2v-1.3b", 30 * 27 + 15)]
    [InlineData("wan2.1-t2v-14b", 40 * 27 + 15)]
    [InlineData("umt5-xxl", 24 * 10 + 2)]
    [InlineData("wan2.1-vae", 194)]
    [InlineData("wan2.1-i2v-14b", 40 * 32 + 23)]
    [InlineData("wan2.1-flf2v-14b", 40 * 32 + 24)]
    [InlineData("wan2.2-i2v-a14b", 40 * 27 + 15)]
    [InlineData("wan2.2-ti2v-5b", 30 * 27 + 15)]
    [InlineData("wan2.2-vae", 196)]
    [InlineData("clip-vit-h-14", 31 * 12 + 5)]
    public void Keys_and_shapes_are_the_approved_ones(string name, int count)
    {
        using var module = Make(name);
        var shapes = module.Shapes();
        Assert.All(module.parameters(), parameter => Assert.Equal(TorchSharp.DeviceType.META, parameter.device_type));
        Assert.Equal(count, shapes.Count);
        var lines = shapes.Select(entry => $"{entry.Key} [{string.Join(", ", entry.Value)}]").Order(StringComparer.Ordinal).ToArray();
        if (Environment.GetEnvironmentVariable("NABLAGEN_APPROVE") is not null)
        {
            File.WriteAllText(Path.Combine(Folder(), name + ".txt"), string.Join('\n', lines) + "\n");
        }

        Assert.Equal(Approved(name), lines);
    }

    private static string Folder([CallerFilePath] string source = "") => Path.Combine(Path.GetDirectoryName(source)!, "Keys");

    private static nn.Module Make(string name) => name switch
    {
        "wan2.1-t2v-1.3b" => new WanModel(DitConfig.Wan1_3B, ModuleOptions.Meta),
        "wan2.1-t2v-14b" => new WanModel(DitConfig.Wan14B, ModuleOptions.Meta),
        "umt5-xxl" => new T5Encoder(TextEncoderConfig.UmT5Xxl, ModuleOptions.Meta),
        "wan2.1-vae" => new WanVae(VaeConfig.Wan21, ModuleOptions.Meta),
        "wan2.1-i2v-14b" => new WanModel(DitConfig.WanI2V14B, ModuleOptions.Meta),
        "wan2.1-flf2v-14b" => new WanModel(DitConfig.WanI2V14B with { ModelType = "flf2v", ImageTokens = 514, HasImagePositions = true }, ModuleOptions.Meta),
        "wan2.2-i2v-a14b" => new WanModel(DitConfig.WanI2VA14B, ModuleOptions.Meta),
        "wan2.2-ti2v-5b" => new WanModel(DitConfig.WanTI2V5B, ModuleOptions.Meta),
        "wan2.2-vae" => new WanVae(VaeConfig.Wan22, ModuleOptions.Meta),
        "clip-vit-h-14" => new ImageEncoder(ImageEncoderConfig.VitH14, ModuleOptions.Meta),
        _ => throw new ArgumentOutOfRangeException(nameof(name)),
    };

    private static string[] Approved(string name)
    {
        using var stream = typeof(CheckpointKeyTests).Assembly.GetManifestResourceStream($"Keys/{name}.txt")!;
        return new StreamReader(stream).ReadToEnd().TrimEnd().Split('\n');
    }
}
