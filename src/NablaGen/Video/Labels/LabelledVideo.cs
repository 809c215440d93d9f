namespace NablaGen.Video.Labels;

/// <summary>A video and what to write over it.</summary>
/// <param name="Path">The video.</param>
/// <param name="Name">The first line, in Latin letters.</param>
/// <param name="Detail">A second, smaller line.</param>
public sealed record LabelledVideo(string Path, string Name, string Detail);
