using NablaGen.Models;
using NablaGen.Models.Wan;
using NablaGen.Tests.Weights;
using NablaGen.Weights;
using static TorchSharp.torch;

namespace NablaGen.Tests.Models.Layouts;

public sealed class InspectTests : IDisposable
{
    private readonly TempFolder _temp = new();

    [Fact]
    public void Each_golden_file_is_said_what_it_is()
    {
        var folder = Path.Combine(GoldenFolder.Path, "checkpoints");
        var config = ModelConfigs.ParseDit(File.ReadAllText(Path.Combine(folder, "config.json")), folder);
        foreach (var file in Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories).Where(TensorSources.IsTensorFile))
        {
            var found = ModelInspector.InspectFile(file);
            Assert.True(found.Tensors > 0, file);
            Assert.Equal(found.Tensors, found.Formats.Values.Sum());
            var name = Path.GetFileName(file);
            var expected = name.StartsWith("adapter", StringComparison.Ordinal) ? "LoRA"
                : name is "base.safetensors" or "comfy-fp8-scaled.safetensors" or "wan-Q4_K_M.gguf" || name.EndsWith("-some-keys.pth", StringComparison.Ordinal) ? "transformer"
                : "tensors";
            Assert.Equal(expected, found.Kind);
            if (expected == "transformer")
            {
                // The sizes come from the config.json beside the file, so that what is missing can be told.
                var isWhole = !name.EndsWith("-some-keys.pth", StringComparison.Ordinal);
                Assert.Equal((null, isWhole), (found.Problem, found.Missing.Count == 0));
                Assert.StartsWith("Wan text to video", found.Family, StringComparison.Ordinal);
                Assert.StartsWith($"{config.NumLayers} layers, width {config.Dim}, {config.NumHeads} heads", found.Sizes, StringComparison.Ordinal);
                Assert.Empty(found.Surplus);
                Assert.Empty(found.WrongShapes);
            }
        }
    }

    [Fact]
    public void Number_formats_and_prefixes_are_said()
    {
        var found = ModelInspector.InspectFile(Path.Combine(GoldenFolder.Path, "checkpoints", "comfy-fp8-scaled.safetensors"));
        Assert.Equal(("Wan", "model.diffusion_model."), (found.Names, found.Prefix));
        Assert.InRange(found.Formats["F8_E4M3 with a scale a tensor"], 10, found.Tensors);
        found = ModelInspector.InspectFile(Path.Combine(GoldenFolder.Path, "checkpoints", "wan-Q4_K_M.gguf"));
        Assert.InRange(found.Formats["Q6_K"], 1, found.Formats["Q4_K"]);
    }

    [Fact]
    public void A_lora_says_whose_it_is_and_what_it_changes()
    {
        var found = ModelInspector.Inspect(Path.Combine(GoldenFolder.Path, "checkpoints", "lora-peft"));
        Assert.Equal((null, null), (found.Layout, found.Problem));
        var lora = Assert.Single(found.Files).Lora!;
        Assert.Equal(("peft", "peft", 0, 0), (lora.Dialect, found.Files[0].Names, lora.WholeChanges, lora.NotRead.Count));
        Assert.InRange(lora.LeastRank, 1, lora.MostRank);
        Assert.Contains("blocks.N.self_attn.q", lora.Targets.Keys);

        using var scope = NewDisposeScope();
        SafetensorsWriter.Write(_temp["kohya.safetensors"],
        [
            .. new[] { 0, 1, 11 }.SelectMany(layer => new[] { "down", "up" }.Select(part => KeyValuePair.Create($"lora_unet_blocks_{layer}_self_attn_q.lora_{part}.weight", ones(4, 4)))),
            KeyValuePair.Create("lora_unet_blocks_0_norm3.diff", ones(4)), KeyValuePair.Create("lora_unet_blocks_0_cross_attn_k.lokr_w1", ones(2, 2)),
        ]);
        lora = ModelInspector.InspectFile(_temp["kohya.safetensors"]).Lora!;
        Assert.Equal(("kohya, musubi-tuner", 4, 4, 1), (lora.Dialect, lora.LeastRank, lora.MostRank, lora.WholeChanges));
        Assert.Equal([("blocks_N_self_attn_q", 3), ("blocks_N_norm3", 1)], lora.Targets.Select(target => (target.Key, target.Value)).OrderByDescending(target => target.Value));
        Assert.Equal("lora_unet_blocks_0_cross_attn_k.lokr_w1", Assert.Single(lora.NotRead));
    }

    [Fact]
    public void A_folder_has_its_parts()
    {
        GoldenModelFolder.Assemble(_temp["official"]);
        LayoutFolders.Diffusers(_temp["official"], _temp["diffusers"]);
        var found = ModelInspector.Inspect(_temp["diffusers"]);
        Assert.Equal(("Diffusers", "diffusers", null), (found.Layout, found.Name, found.Problem));
        Assert.Equal(["transformer", "text encoder", "VAE"], found.Files.Select(file => file.Kind));
        Assert.Equal(["Diffusers", "Hugging Face", "Diffusers"], found.Files.Select(file => file.Names));
        Assert.All(found.Files, file => Assert.Equal((0, 0, null), (file.Missing.Count, file.Surplus.Count, file.Problem)));
        Assert.Equal("official", ModelInspector.Inspect(_temp["official"]).Layout);

        Directory.Delete(Path.Combine(_temp["diffusers"], "vae"), recursive: true);
        found = ModelInspector.Inspect(_temp["diffusers"]);
        Assert.Contains("the VAE", found.Problem, StringComparison.Ordinal);
        Assert.Contains(found.Files, file => file.Kind == "transformer");
    }

    [Fact]
    public void Parts_under_each_others_names_are_told()
    {
        GoldenModelFolder.Assemble(_temp["model"]);
        var model = WanVideoModel.Open(_temp["model"]);
        File.Move(model.VaePath, _temp["vae"]);
        File.Move(model.TextEncoderPath, model.VaePath);
        File.Move(_temp["vae"], model.TextEncoderPath);
        var problems = ModelInspector.Inspect(_temp["model"]).Files.Select(file => (file.Kind, file.Problem)).ToList();
        Assert.Contains(("VAE", "it lies where the model's text encoder is expected"), problems);
        Assert.Contains(("text encoder", "it lies where the model's VAE is expected"), problems);
        Assert.Contains(("transformer", null), problems);
    }

    [Fact]
    public void What_does_not_fit_is_listed()
    {
        using var scope = NewDisposeScope();
        using var golden = SafetensorsFile.Open(Path.Combine(GoldenFolder.Path, "checkpoints", "base.safetensors"));
        var weights = golden.Entries.Keys.Where(key => key != "head.head.bias").ToDictionary(key => key, key => golden.Read(key));
        weights["blocks.0.norm3.bias"] = zeros(3);
        weights["blocks.0.self_attn.gate"] = zeros(2);
        SafetensorsWriter.Write(_temp["wan.safetensors"], weights);
        var found = ModelInspector.InspectFile(_temp["wan.safetensors"]);
        Assert.Equal(["head.head.bias"], found.Missing);
        Assert.Equal(["blocks.0.self_attn.gate"], found.Surplus);
        Assert.Equal(["blocks.0.norm3.bias"], found.WrongShapes);

        weights["patch_embedding.weight"] = zeros([weights["patch_embedding.weight"].shape[0], 36, 1, 2, 2]);
        SafetensorsWriter.Write(_temp["picture.safetensors"], weights);
        found = ModelInspector.InspectFile(_temp["picture.safetensors"]);
        Assert.StartsWith("Wan 2.2 image to video", found.Family, StringComparison.Ordinal);
        Assert.Null(found.Problem);
        weights["patch_embedding.weight"] = zeros([weights["patch_embedding.weight"].shape[0], 40, 1, 2, 2]);
        SafetensorsWriter.Write(_temp["control.safetensors"], weights);
        Assert.Contains("takes 40 channels and gives 16", ModelInspector.InspectFile(_temp["control.safetensors"]).Problem, StringComparison.Ordinal);
        RawFile.Fault(() => ModelInspector.Inspect(_temp["none.safetensors"]), _temp["none.safetensors"], "no such file");
    }

    public void Dispose() => _temp.Dispose();
}
