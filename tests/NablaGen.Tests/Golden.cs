using System.Text.Json;
using NablaGen.Models.Streaming;
using NablaGen.Models.Wan;
using NablaGen.Models.Wan.Dit;
using NablaGen.Models.Wan.Image;
using NablaGen.Models.Wan.Text;
using NablaGen.Models.Wan.Vae;
using NablaGen.Tensors;
using NablaGen.Video.Pictures;
using NablaGen.Weights;
using static TorchSharp.torch;

namespace NablaGen.Tests;

/// <summary>One of the reference's output files: tensors, weights under <c>weights.</c>, configuration in the metadata.</summary>
internal sealed class Golden : IDisposable
{
    private readonly SafetensorsFile _file;

    private Golden(SafetensorsFile file) => _file = file;

    public IEnumerable<string> Names => _file.Entries.Keys;

    public static Golden Open(string name) => new(SafetensorsFile.Open(Path.Combine(GoldenFolder.Path, name + ".safetensors")));

    public Tensor this[string name] => _file.Read(name);

    public ITensorSource Source => _file;

    public string Metadata(string key) => _file.Metadata[key];

    public bool HasMetadata(string key) => _file.Metadata.ContainsKey(key);

    public string[] List(string key) => JsonSerializer.Deserialize<string[]>(Metadata(key))!;

    public WanModel Dit(ModuleOptions? options = null)
    {
        return Dit("weights.", options);
    }

    /// <summary>One of a file's transformers, whose weights are under a prefix.</summary>
    public WanModel Dit(string prefix, ModuleOptions? options = null)
    {
        var weights = _file.Under(prefix);
        var config = DitVariant.Detect(ModelConfigs.ParseDit(Metadata("config"), _file.Path), weights, ImageEncoderConfig.VitH14.Tokens);
        var model = new WanModel(config, options ?? ModuleOptions.Cpu);
        CheckpointLoader.Load(weights, model);
        return model;
    }

    /// <summary>The same of which not all layers are on the device.</summary>
    public WanModel Dit(LayerPlacement placement)
    {
        var weights = _file.Under("weights.");
        var config = DitVariant.Detect(ModelConfigs.ParseDit(Metadata("config"), _file.Path), weights, ImageEncoderConfig.VitH14.Tokens);
        var layers = WanLayers.Stream(config, ModuleOptions.Cpu, placement, (number, layer) => CheckpointLoader.Load(weights.Under(WanModel.LayerPrefix(number)), layer));
        var model = new WanModel(config, ModuleOptions.Cpu, layers);
        CheckpointLoader.Copy(weights, model);
        return model;
    }

    public T5Encoder TextEncoder()
    {
        var model = new T5Encoder(ModelConfigs.ParseTextEncoder(Metadata("config"), _file.Path), ModuleOptions.Cpu);
        CheckpointLoader.Load(_file.Under("weights."), model);
        return model;
    }

    public ImageEncoder ImageEncoder()
    {
        var config = ModelConfigs.ParseImageEncoder(Metadata("config"), _file.Path);
        var model = new ImageEncoder(config, ModuleOptions.Cpu);
        CheckpointLoader.Load(ImageEncoderKeys.Of(_file.Under("weights."), config), model);
        return model;
    }

    public WanVae Vae()
    {
        var model = new WanVae(VaeConfig(), ModuleOptions.Cpu);
        CheckpointLoader.Load(_file.Under("weights."), model);
        return model;
    }

    /// <summary>The sizes of a file's VAE, and the statistics of its latents where they are not the configuration's.</summary>
    public VaeConfig VaeConfig()
    {
        using var scope = NewDisposeScope();
        var config = ModelConfigs.ParseVae(Metadata("config"), _file.Path);
        return Names.Contains("mean") && Names.Contains("std")
            ? config with { LatentsMean = this["mean"].data<float>().ToArray(), LatentsStd = this["std"].data<float>().ToArray() }
            : config;
    }

    public void Dispose() => _file.Dispose();

    /// <summary>A picture of the file, 8 bits a colour, in [−1, 1]. [1, 3, H, W]</summary>
    public Tensor Picture(string name)
    {
        using var bytes = this[name];
        return PictureTensor.Of(new Picture((int)bytes.shape[1], (int)bytes.shape[0], bytes.bytes.ToArray()));
    }

    /// <summary>‖a − b‖ / ‖b‖, in float64.</summary>
    public static double RelativeError(Tensor actual, Tensor expected)
    {
        using var scope = NewDisposeScope();
        Assert.Equal(expected.shape, actual.shape);
        var (a, b) = (actual.to_type(ScalarType.Float64), expected.to_type(ScalarType.Float64));
        return ((a - b).norm() / b.norm()).item<double>();
    }

    public static void AssertClose(Tensor actual, Tensor expected, double tolerance) =>
        Assert.InRange(RelativeError(actual, expected), 0, tolerance);
}
