using NablaGen.Models.Wan;
using NablaGen.Models.Wan.Image;
using NablaGen.Tensors;
using NablaGen.Weights;
using static TorchSharp.torch;

namespace NablaGen.Tests.Models.Image;

public class ImageEncoderGoldenTests
{
    [Fact]
    public void Pictures_are_prepared_as_in_the_reference()
    {
        using var scope = NewDisposeScope();
        using var golden = Golden.Open("family/clip");
        using var encoder = golden.ImageEncoder();
        Golden.AssertClose(cat([.. Pictures(golden).Select(encoder.Preprocess)]), golden["preprocessed"], 1e-5);
    }

    [Fact]
    public void Features_equal_the_reference()
    {
        using var scope = NewDisposeScope();
        using var golden = Golden.Open("family/clip");
        using var encoder = golden.ImageEncoder();
        Golden.AssertClose(cat([.. Pictures(golden).Select(encoder.Encode)]), golden["features"], 1e-5);
    }

    [Fact]
    public void The_authors_file_with_both_towers_is_read()
    {
        using var folder = new TempFolder();
        using var scope = NewDisposeScope();
        using var golden = Golden.Open("family/clip");
        var tensors = Weights(golden).Select(weight => KeyValuePair.Create("visual." + weight.Key, weight.Value))
            .Append(KeyValuePair.Create("textual.token_embedding.weight", ones(3, 2))).Append(KeyValuePair.Create("log_scale", ones([])));
        AssertSame(golden, folder["clip.safetensors"], tensors);
    }

    [Fact]
    public void Hugging_Faces_names_and_shapes_are_read()
    {
        using var folder = new TempFolder();
        using var scope = NewDisposeScope();
        using var golden = Golden.Open("family/clip");
        AssertSame(golden, folder["clip_vision_h.safetensors"], Weights(golden).SelectMany(weight => HuggingFace(weight.Key, weight.Value)));
    }

    [Fact]
    public void A_file_of_another_depth_is_refused()
    {
        using var golden = Golden.Open("family/clip");
        var config = ModelConfigs.ParseImageEncoder(golden.Metadata("config"), "clip");
        foreach (var layers in new[] { config.NumLayers - 1, config.NumLayers + 1 })
        {
            var other = config with { NumLayers = layers };
            using var encoder = new ImageEncoder(other, ModuleOptions.Cpu);
            Assert.Throws<NablaGenException>(() => CheckpointLoader.Load(ImageEncoderKeys.Of(golden.Source.Under("weights."), other), encoder));
        }
    }

    private static void AssertSame(Golden golden, string path, IEnumerable<KeyValuePair<string, Tensor>> tensors)
    {
        SafetensorsWriter.Write(path, tensors);
        var config = ModelConfigs.ParseImageEncoder(golden.Metadata("config"), "clip");
        using var encoder = new ImageEncoder(config, ModuleOptions.Cpu);
        using (var source = ImageEncoderKeys.Of(SafetensorsFile.Open(path), config))
        {
            CheckpointLoader.Load(source, encoder);
        }

        Golden.AssertClose(cat([.. Pictures(golden).Select(encoder.Encode)]), golden["features"], 1e-5);
    }

    private static IEnumerable<Tensor> Pictures(Golden golden) => golden.Names.Where(name => name.StartsWith("image.")).Order().Select(golden.Picture);

    private static IEnumerable<KeyValuePair<string, Tensor>> Weights(Golden golden) => golden.Names
        .Where(name => name.StartsWith("weights."))
        .Select(name => KeyValuePair.Create(name["weights.".Length..], golden[name]));

    // The authors' name → one or three of Hugging Face's.
    private static IEnumerable<KeyValuePair<string, Tensor>> HuggingFace(string key, Tensor value)
    {
        const string Prefix = "vision_model.";
        if (key.StartsWith("transformer."))
        {
            var parts = key.Split('.', 3);
            var (layer, rest) = ($"{Prefix}encoder.layers.{parts[1]}.", parts[2]);
            return rest.StartsWith("attn.to_qkv")
                ? value.chunk(3).Zip("qkv", (part, name) => KeyValuePair.Create($"{layer}self_attn.{name}_proj{rest["attn.to_qkv".Length..]}", part.contiguous()))
                :
                [
                    KeyValuePair.Create(layer + rest.Replace("attn.proj", "self_attn.out_proj").Replace("norm1", "layer_norm1").Replace("norm2", "layer_norm2")
                        .Replace("mlp.0", "mlp.fc1").Replace("mlp.2", "mlp.fc2"), value),
                ];
        }

        return key switch
        {
            "cls_embedding" => [KeyValuePair.Create(Prefix + "embeddings.class_embedding", value.flatten())],
            "pos_embedding" => [KeyValuePair.Create(Prefix + "embeddings.position_embedding.weight", value.squeeze(0))],
            "patch_embedding.weight" => [KeyValuePair.Create(Prefix + "embeddings.patch_embedding.weight", value)],
            "head" => [KeyValuePair.Create("visual_projection.weight", value.t().contiguous())],
            _ => [KeyValuePair.Create(Prefix + key.Replace("pre_norm", "pre_layrnorm").Replace("post_norm", "post_layernorm"), value)],
        };
    }
}
