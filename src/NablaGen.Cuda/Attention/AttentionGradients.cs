namespace NablaGen.Cuda.Attention;

/// <summary>Where the gradients of an attention's inputs go; shapes and type of the inputs, any strides.</summary>
/// <param name="Q">Of the queries.</param>
/// <param name="K">Of the keys.</param>
/// <param name="V">Of the values.</param>
public readonly record struct AttentionGradients(AttentionTensor Q, AttentionTensor K, AttentionTensor V);
